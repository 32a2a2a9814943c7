"""Filters as cards: histograms of numbers and counts of words, of all cutouts and of those that pass the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.app.columns import words_of

if TYPE_CHECKING:
    from skysift.app.columns import Columns
    from skysift.app.session import Session

BINS = 44
FEW = 12
"""Different values up to which whole numbers get a bin each."""
STEEP = 30.0
"""Ratio of the 99.5 % quantile to the median from which bins of positive values are logarithmic."""
MOST_WORDS = 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Where the bars of a histogram stand.

    Attributes
    ----------
    edges : ndarray, shape (B + 1,)
        Of the bins, from the smallest to the largest value; strictly increasing.
    """

    edges: Floats

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Count finite values in each bin, shape (B,)."""
        good = values[np.isfinite(values)]
        return np.histogram(good, self.edges)[0].astype(np.int64)


def bins_of(values: NDArray[Any], bins: int = BINS) -> Bins:
    """Choose bins for a column.

    Whole numbers of few different values have one bin each; steep distributions of positive values logarithmic bins;
    all others bins of equal width between the 0.5 % and 99.5 % quantiles, the outermost reaching to the extremes.
    """
    good = values[np.isfinite(values)].astype(np.float64)
    if not good.size:
        return Bins(np.array([0.0, 1.0]))
    low, high = float(good.min()), float(good.max())
    if low == high:
        half = max(abs(low) * 0.5, 0.5)
        return Bins(np.array([low - half, low + half]))
    if values.dtype.kind in "biu" and high - low < FEW:
        return Bins(np.arange(low - 0.5, high + 1.0))
    inner_low, middle, inner_high = np.quantile(good, [0.005, 0.5, 0.995]).tolist()
    if low > 0 and inner_high > STEEP * middle:
        edges = np.geomspace(low, high, bins + 1)
    elif inner_low < inner_high:
        edges = np.linspace(inner_low, inner_high, bins + 1)
    else:
        edges = np.linspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high
    return Bins(np.unique(edges))


class Cards:
    """The filters of a session as `Filters` draws them; bins and counts of whole columns are kept.

    Parameters
    ----------
    session : Session
        Whose filters, selection and columns these are.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._columns: Columns | None = None
        self._kept: dict[str, tuple[Any, Any, Any]] = {}

    def of(self, names: list[str]) -> list[dict[str, Any]]:
        """Return the cards of these columns; those that there are not (any more) are left out."""
        columns = self.session.survey.columns
        if columns is not self._columns:
            self._columns, self._kept = columns, {}
        return [self._words(name) if columns.is_text(name) else self._range(name) for name in names if name in columns]

    def _range(self, name: str) -> dict[str, Any]:
        columns = self.session.survey.columns
        values = columns[name]
        kept = self._kept.get(name)
        if kept is None or kept[0] is not values:
            bins = bins_of(values)
            kept = self._kept[name] = (values, bins, bins.count(values))
        _, bins, everything = kept
        passing = bins.count(values[self.session.passing(but=name)]) if self._narrowed(name) else everything
        low, high = self.session.filters.get(name, (-np.inf, np.inf))
        return {
            "kind": "range",
            "name": name,
            "unit": columns.units.get(name, ""),
            "help": columns.descriptions.get(name, ""),
            "edges": bins.edges.tolist(),
            "all": everything.tolist(),
            "kept": passing.tolist(),
            "low": float(low) if np.isfinite(low) else None,
            "high": float(high) if np.isfinite(high) else None,
        }

    def _words(self, name: str) -> dict[str, Any]:
        columns = self.session.survey.columns
        codes, texts = columns.codes(name)
        passing = codes[self.session.passing(but=name)] if self._narrowed(name) else codes
        counts = np.bincount(passing, minlength=len(texts)).tolist()
        words: dict[str, int] = {}
        for text, count in zip(texts, counts, strict=True):
            for word in words_of(name, text):
                words[word] = words.get(word, 0) + count
        chosen = sorted(self.session.filters.get(name, ()))
        order = sorted(words, key=lambda word: (word not in chosen, -words[word], word))[:MOST_WORDS]
        return {
            "kind": "words",
            "name": name,
            "help": columns.descriptions.get(name, ""),
            "words": [[word, words[word]] for word in order],
            "chosen": chosen,
        }

    def _narrowed(self, name: str) -> bool:
        return bool(len(self.session.selection) or any(other != name for other in self.session.filters))
