"""How points get their colours: by how many there are, by a number, or by a category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skysift.app.columns import Columns

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Scaling = Literal["linear", "log"]

CATEGORIES = 12  # that get a colour of their own; the others share a grey
FEW_NUMBERS = 12  # distinct integers up to which a column of them is one of categories
LIMITS = (1.0, 99.0)  # percentiles of a column that get the first and the last colour
GREY = (154, 165, 177)
_MORE = ("#8C564B", "#17A2A2", "#B0186A", "#5B6B1F")
_SAMPLE = 200_000  # values from which limits are found


class Colouring(Protocol):
    """What gives pixels their colours."""

    @property
    def title(self) -> str:
        """What the colours stand for."""

    @property
    def unit(self) -> str:
        """Of the values, "" where they have none."""

    def valued(self, rows: NDArray[np.int64]) -> Mask:
        """Return which of these rows have a value."""

    def channels(self, rows: NDArray[np.int64]) -> Float:
        """Return what is averaged over the points of a pixel, shape (k, n)."""

    def shade(self, counts: Float, sums: Float) -> tuple[Bytes, tuple[float, float]]:
        """Return RGBA, shape (height, width, 4), and the values of first and last colour."""


@dataclass(frozen=True)
class Density:
    """Colour by the number of points in a pixel, on a logarithmic scale."""

    title: str = "points per pixel"
    unit: str = ""
    scaling: Scaling = "log"

    def valued(self, rows: NDArray[np.int64]) -> Mask:
        """All have."""
        return np.ones(len(rows), bool)

    def channels(self, rows: NDArray[np.int64]) -> Float:
        """Nothing but their number."""
        return np.zeros((0, len(rows)), np.float32)

    def shade(self, counts: Float, sums: Float) -> tuple[Bytes, tuple[float, float]]:  # noqa: ARG002
        """From 1 point to the most in a pixel."""
        most = float(max(counts.max(initial=0), 1))
        with np.errstate(divide="ignore"):
            level = np.log(counts) / np.log(max(most, 4.0))
        return _paint(density_palette(), level, counts > 0), (1.0, most)


@dataclass(frozen=True)
class Number:
    """Colour by the mean of a column in a pixel.

    Attributes
    ----------
    values : ndarray of float32, shape (N,)
        NaN where there is none.
    low, high : float
        Values of the first and the last colour.
    """

    title: str
    unit: str
    values: Float
    low: float
    high: float
    scaling: Scaling = "linear"

    def valued(self, rows: NDArray[np.int64]) -> Mask:
        """Those that are no NaN."""
        finite: Mask = np.isfinite(self.values[rows])
        return finite

    def channels(self, rows: NDArray[np.int64]) -> Float:
        """The values."""
        return self.values[rows][None]

    def shade(self, counts: Float, sums: Float) -> tuple[Bytes, tuple[float, float]]:
        """From `low` to `high`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums[0] / counts
            if self.scaling == "log":
                level = np.log(np.maximum(mean, self.low) / self.low) / np.log(self.high / self.low)
            else:
                level = (mean - self.low) / (self.high - self.low)
        return _paint(number_palette(), level, counts > 0), (self.low, self.high)


@dataclass(frozen=True)
class Category:
    """Colour by category; a pixel with several is mixed of theirs by how many points each has there.

    Attributes
    ----------
    codes : ndarray of int32, shape (N,)
        Category of each row.
    words : sequence of str
        Their names.
    sizes : ndarray of int64, shape (len(words),)
        How many rows each has.
    colours : ndarray of uint8, shape (len(words), 3)
    distinct : bool
        Whether colours repeat (clusters) or belong to one category each, but for the grey of the rest.
    """

    title: str
    unit: str
    codes: NDArray[np.int32]
    words: Sequence[str]
    sizes: NDArray[np.int64]
    colours: Bytes
    distinct: bool = True

    def valued(self, rows: NDArray[np.int64]) -> Mask:
        """All have."""
        return np.ones(len(rows), bool)

    def channels(self, rows: NDArray[np.int64]) -> Float:
        """Red, green and blue of each row's category."""
        return np.ascontiguousarray(self.colours[self.codes[rows]].T, np.float32)

    def shade(self, counts: Float, sums: Float) -> tuple[Bytes, tuple[float, float]]:
        """Fainter where there are fewer points."""
        rgba = np.zeros((*counts.shape, 4), np.uint8)
        filled = counts > 0
        rgba[filled, :3] = np.rint(sums[:, filled] / counts[filled]).T.astype(np.uint8)
        top = np.log1p(max(float(counts.max(initial=0)), 2.0))
        rgba[filled, 3] = np.rint(150 + 105 * np.log1p(counts[filled]) / top).astype(np.uint8)
        return rgba, (0.0, 0.0)

    @property
    def legend(self) -> list[tuple[str, str, int]]:
        """Name, colour and number of rows of the largest categories; at last those of the others together."""
        order = np.argsort(-self.sizes, kind="stable")
        largest = [i for i in order[:CATEGORIES] if self.sizes[i]]
        entries = [(self.words[i] or "none", as_hex(self.colours[i]), int(self.sizes[i])) for i in largest]
        rest = order[CATEGORIES:]
        if len(rest) and self.sizes[rest].sum():
            entries.append((f"{len(rest):,} more", as_hex(np.array(GREY, np.uint8)), int(self.sizes[rest].sum())))
        return entries


def by_number(title: str, values: NDArray[Any], *, unit: str = "", scaling: Scaling | None = None) -> Number:
    """Colour by a column of numbers between its 1st and 99th percentile.

    Parameters
    ----------
    title, unit : str
        Of the column.
    values : ndarray, shape (N,)
    scaling : {"linear", "log"}, optional
        By default logarithmic where the values are positive and reach over more than a factor of 30. Values that are
        not positive get the first colour.
    """
    numbers = np.asarray(values, np.float32)
    finite = numbers[np.isfinite(numbers)]
    sample = finite[:: max(1, len(finite) // _SAMPLE)]
    low, high = (float(v) for v in np.percentile(sample, LIMITS)) if len(sample) else (0.0, 1.0)
    if scaling is None:
        scaling = "log" if low > 0 and high / low > 30 else "linear"
    if scaling == "log":
        positive = sample[sample > 0]
        if not len(positive):
            scaling = "linear"
        else:
            low, high = (float(v) for v in np.percentile(positive, LIMITS))
    if high <= low:
        low, high = (low / 2, low * 2) if scaling == "log" else (low - 0.5, low + 0.5)
    return Number(title, unit, numbers, low, high, scaling)


def by_category(title: str, codes: NDArray[Any], words: Sequence[str], *, cyclic: bool = False) -> Category:
    """Colour by category.

    Parameters
    ----------
    title : str
        Of the column.
    codes : ndarray of int, shape (N,)
        Category of each row.
    words : sequence of str
        Names of the categories.
    cyclic : bool
        Whether every category gets a strong colour, so that far ones share it; by default the largest twelve get
        their own and the others a common grey.
    """
    codes = np.asarray(codes, np.int32)
    sizes = np.bincount(codes, minlength=len(words)).astype(np.int64)
    colours = np.empty((len(words), 3), np.uint8)
    colours[:] = GREY
    order = np.argsort(-sizes, kind="stable")
    if cyclic:
        colours[:] = np.resize(as_rgb(_many_colours()), (len(words), 3))
    else:
        few = as_rgb(category_colours())
        named = [i for i in order if words[i]][:CATEGORIES]  # the empty text stays grey
        colours[named] = few[: len(named)]
    return Category(title, "", codes, words, sizes, colours, distinct=not cyclic)


def by_column(columns: Columns, name: str, *, clusters: bool = False, scaling: Scaling | None = None) -> Colouring:
    """Colour by a column of a survey: texts, and integers of few values or of clusters, are categories.

    Raises
    ------
    RequestError
        There is no such column.
    """
    if columns.is_text(name):
        return by_category(name, *columns.codes(name))
    values = columns[name]
    if values.dtype.kind in "biu":
        numbers, codes = np.unique(values, return_inverse=True)
        if clusters or len(numbers) <= FEW_NUMBERS:
            return by_category(name, codes, [str(number) for number in numbers.tolist()], cyclic=clusters)
    return by_number(name, values, unit=columns.units.get(name, ""), scaling=scaling)


def number_palette() -> tuple[str, ...]:
    """Return the 256 colours of numbers."""
    from bokeh.palettes import Viridis256

    return tuple(Viridis256)


def density_palette() -> tuple[str, ...]:
    """Return the 256 colours of density, from a blue that is seen on white to nearly black."""
    from bokeh.palettes import interp_palette

    return tuple(interp_palette(["#a9c9e4", "#4f93c8", "#1f5f9c", "#123a6b", "#0a1c3a"], 256))


def category_colours() -> tuple[str, ...]:
    """Return the colours of categories, those of the reports first."""
    from skysift.report.figures.style import PALETTE

    return (*PALETTE, *_MORE)


def _many_colours() -> tuple[str, ...]:
    import colorcet

    return tuple(colorcet.b_glasbey_bw_minc_20_maxl_70)


def as_rgb(colours: Sequence[str]) -> Bytes:
    """Return colours like #0b5c96 as numbers, shape (n, 3)."""
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8).reshape(-1, 3)


def as_hex(colour: Bytes) -> str:
    """Return a colour (3,) like #0b5c96."""
    return "#" + "".join(f"{int(part):02x}" for part in colour[:3])


def _paint(palette: Sequence[str], level: Float, filled: Mask) -> Bytes:
    """Return RGBA: the palette's colours at levels from 0 to 1, transparent where nothing is."""
    table = as_rgb(palette)
    rgba = np.zeros((*level.shape, 4), np.uint8)
    place = np.clip(np.nan_to_num(level[filled]) * (len(table) - 1), 0, len(table) - 1)
    rgba[filled, :3] = table[np.rint(place).astype(np.intp)]
    rgba[filled, 3] = 255
    return rgba
