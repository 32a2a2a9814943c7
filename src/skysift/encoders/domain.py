"""What sky an encoder knows: beam, pixel scale, noise and dynamic range of its training set, and what lies outside."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skysift.errors import SkysiftError
from skysift.store.digest import write_json
from skysift.store.lineage import ancestors

if TYPE_CHECKING:
    from skysift.cutouts.catalogue import Catalogue
    from skysift.store.artifact import Artifact
    from skysift.store.store import Store

DOMAIN = "domain.json"
TAIL = 0.025
"""Share of cutouts below `low` and above `high`."""
SIGMAS = 2.6
OVERLAP = 2.0
"""Cutouts that count as one: neighbouring windows share pixels."""
_JANSKY = re.compile(r"(?P<prefix>[munµμ]?)jy(?: ?/ ?|[ .*]?)beam(?:\^?-1)?", re.IGNORECASE)
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}


class Check(NamedTuple):
    """How a quantity is compared and what it is called."""

    name: str
    tolerance: float
    outside: float
    rise: str
    fall: str
    unit: str


CHECKS = (
    Check("beam", 1.5, 0.25, "the beam is {} times as large", "the beam is {} times as small", "pixels of the images"),
    Check("pixel_scale", 1.5, 0.25, "the pixels are {} times as wide", "the pixels are {} times as narrow", "arcsec"),
    Check("noise", 1.5, 0.25, "the noise is {} times as high", "the noise is {} times as low", ""),
    Check(
        "dynamic_range", 2.0, 0.5, "peaks over noise are {} times as high", "peaks over noise are {} times as low", ""
    ),
)
"""The quantities that are compared.

A median may differ by the factor `tolerance` and its error, and the share `outside` of the new cutouts may lie below
`low` or above `high` of the training set, where 5 % lie of its own. Dynamic range may shift further, since blank fields
and cutouts around sources of one survey differ in it.
"""


class Spread(BaseModel):
    """How a positive quantity is distributed over cutouts.

    The scatters are of natural logarithms, so that 0.1 stands for 10 %, and each is the larger one of 1.4826 times the
    median absolute deviation and the central 95 % divided by 3.92: both are the standard deviation of a normal
    distribution, and the second is wider where tails are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: float = Field(gt=0, description="Median over the cutouts.")
    low: float = Field(gt=0, description="2.5 % of the cutouts lie below.")
    high: float = Field(gt=0, description="2.5 % of the cutouts lie above.")
    within: float = Field(ge=0, description="Scatter of the logarithm within a mosaic.")
    between: float = Field(ge=0, description="Scatter of the logarithm of the mosaics' medians; 0 for one mosaic.")
    cutouts: int = Field(ge=1, description="Cutouts of which it is known.")
    mosaics: int = Field(ge=1, description="Mosaics that they are in.")

    def error(self, cutouts: int, mosaics: int) -> float:
        """Return the standard error of the logarithm of a median over so many cutouts of so many mosaics.

        A median's error is 1.2533 times a mean's (normal distribution).
        """
        share = self.between**2 / mosaics + (1.2533 * self.within) ** 2 / max(1.0, cutouts / OVERLAP)
        return math.sqrt(share)


class Domain(BaseModel):
    """The range of a training set: what `domain.json` holds.

    Noise is compared as it is, in Jy/beam, since a network that learned from a survey knows what is faint there. What
    preprocessing leaves of noise, which scales each image to [0, 1], is its share of the peak: one over the dynamic
    range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(1, description="Version of this layout.")
    cutouts: int = Field(ge=0, description="Number of cutouts.")
    mosaics: int = Field(ge=0, description="Number of mosaics that they are in.")
    image_size: int = Field(ge=1, description="Side of the images that the network sees [pixel].")
    beam_in_mosaic: Spread | None = Field(None, description="Major axis, FWHM [pixel of the mosaic].")
    beam: Spread | None = Field(None, description="Major axis, FWHM [pixel of the images, after the resize].")
    pixel_scale_of_mosaic: Spread | None = Field(None, description="Side of the mosaic's pixels [arcsec].")
    pixel_scale: Spread | None = Field(None, description="Side of the images' pixels, after the resize [arcsec].")
    unit: str | None = Field(None, description="Of the noise; null where mosaics don't say, or not the same.")
    noise: Spread | None = Field(None, description="1.4826 MAD of a cutout [unit].")
    dynamic_range: Spread | None = Field(None, description="(peak - median) / rms of a cutout.")

    def unlike(self, other: Domain) -> str | None:
        """Say in what other cutouts differ, or None where they don't.

        A quantity differs if the logarithm of its median is further off than the logarithm of the tolerance and
        `SIGMAS` standard errors of the difference, and too many of the new cutouts (see `CHECKS`) lie outside the
        central 95 % of the training set. A quantity that one side does not know is not compared.

        Parameters
        ----------
        other : Domain
            Of the new cutouts, `compared` with this one.

        Returns
        -------
        str or None
            One clause for each quantity, as `the beam is 2.0 times as large (6 instead of 3 pixels of the images)`.
        """
        parts = []
        for check in CHECKS:
            known, new = getattr(self, check.name), getattr(other, check.name)
            if known is None or new is None or (check.name == "noise" and self.unit != other.unit):
                continue
            shift = math.log(new.median / known.median)
            error = math.hypot(known.error(new.cutouts, new.mosaics), known.error(known.cutouts, known.mosaics))
            if abs(shift) <= math.log(check.tolerance) + SIGMAS * error or _outside(known, new) <= check.outside:
                continue
            unit = check.unit or (self.unit or "" if check.name == "noise" else "")
            clause = (check.rise if shift > 0 else check.fall).format(f"{math.exp(abs(shift)):.1f}")
            parts.append(f"{clause} ({new.median:.3g} instead of {known.median:.3g}{' ' if unit else ''}{unit})")
        return "; ".join(parts) or None


def _outside(known: Spread, new: Spread) -> float:
    """Return the share of new cutouts, taken as log-normal, outside the central 95 % of the training set."""
    middle = math.log(new.median)
    width = math.sqrt(2) * max(math.hypot(new.within, new.between), 1e-9)
    above = 0.5 * math.erfc((math.log(known.high) - middle) / width)
    below = 0.5 * math.erfc((middle - math.log(known.low)) / width)
    return above + below


def measure_domain(catalogue: Catalogue, image_size: int) -> Domain:
    """Measure what the cutouts of a catalogue are like, from its tables alone.

    Parameters
    ----------
    catalogue : Catalogue
        With `rms` and `snr` of each cutout, and beam, pixel scale and unit of each mosaic, as far as they are known.
    image_size : int
        Side of the images that the network sees [pixel]: cutouts are resized to it.
    """
    rows = catalogue.mosaic_rows()
    mosaics: dict[str, NDArray[Any]] = {
        name: np.array([np.nan if v is None else v for v in catalogue.mosaics.column(name).to_pylist()], np.float64)
        for name in ("bmaj", "pixel_scale")
    }
    scale = mosaics["pixel_scale"][rows]
    beam = mosaics["bmaj"][rows] * 3600 / scale
    side = np.sqrt(catalogue.windows[:, 2:].prod(axis=1).astype(np.float64))
    unit, factors = _one_unit([catalogue.mosaics.column("bunit").to_pylist()[i] for i in np.unique(rows)])
    per_mosaic = np.full(len(catalogue.mosaics), np.nan)
    per_mosaic[np.unique(rows)] = factors
    values = {
        "beam_in_mosaic": beam,
        "beam": beam * image_size / side,
        "pixel_scale_of_mosaic": scale,
        "pixel_scale": scale * side / image_size,
        "noise": catalogue.column("rms").astype(np.float64) * per_mosaic[rows],
        "dynamic_range": catalogue.column("snr").astype(np.float64),
    }
    return Domain(
        cutouts=len(catalogue),
        mosaics=len(np.unique(rows)),
        image_size=image_size,
        unit=unit,
        **{name: _spread(value, rows) for name, value in values.items()},
    )


def outside_domain(folder: str | Path, catalogue: Catalogue) -> str | None:
    """Say in one sentence in what cutouts differ from those that an encoder was trained on.

    Parameters
    ----------
    folder : path
        Of the encoder.
    catalogue : Catalogue
        The new cutouts.

    Returns
    -------
    str or None
        None where nothing differs, or the encoder does not know what it was trained on.
    """
    known = read_domain(folder)
    found = None if known is None or not len(catalogue) else known.unlike(measure_domain(catalogue, known.image_size))
    if found is None:
        return None
    return f"the cutouts are unlike those that the encoder was trained on: {found}; check its features before use"


def outside_domain_of(made: Artifact, catalogue: Catalogue, store: Store) -> str | None:
    """Say in what cutouts differ from the training set of the model that features or a classifier come from.

    Parameters
    ----------
    made : Artifact
        What was made with the model; the nearest one counts.
    catalogue : Catalogue
        The cutouts.
    store : Store
        Where the model is.

    Returns
    -------
    str or None
        As `outside_domain`; None too where the model is gone, or only its untrained backbone was used.
    """
    if made.config.get("weights") == "random":
        return None
    family = ancestors(store, made.id).values()
    model = next((member for member in family if member is not None and member.kind == "model"), None)
    return None if model is None else outside_domain(model.folder, catalogue)


def write_domain(domain: Domain, folder: Path) -> None:
    """Write `domain.json` into the folder of an encoder."""
    write_json(folder / DOMAIN, domain.model_dump(mode="json"))


def read_domain(folder: str | Path) -> Domain | None:
    """Read `domain.json`; None where there is none.

    Raises
    ------
    SkysiftError
        If it is damaged.
    """
    path = Path(folder) / DOMAIN
    if not path.is_file():
        return None
    try:
        return Domain.model_validate(json.loads(path.read_text()))
    except (ValidationError, ValueError) as error:
        text = " ".join(str(error).splitlines()[:3])
        raise SkysiftError(f"{path}: no description of a training set ({text}); train the model again.") from None


def domain_notes(domain: Domain) -> dict[str, str]:
    """Return what a model card says of the domain; what is not known is named too."""
    spreads = {
        "Beam": (domain.beam, "pixels of the images"),
        "Pixel scale": (domain.pixel_scale, "arcsec of the images"),
        "Noise": (domain.noise, domain.unit or ""),
        "Dynamic range": (domain.dynamic_range, ""),
    }
    return {name: _shown(spread, unit) for name, (spread, unit) in spreads.items()}


def _shown(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "not known, so new data are not checked for it"
    text = f"{spread.median:.3g} {unit}".strip()
    return text if spread.high / spread.low < 1.001 else f"{text} (central 95 %: {spread.low:.3g} to {spread.high:.3g})"


def _spread(values: NDArray[np.float64], groups: NDArray[np.int64]) -> Spread | None:
    """Describe positive values, shape (N,), in groups; None where over half of them are not known."""
    good = np.isfinite(values) & (values > 0)
    if 2 * good.sum() <= len(values):
        return None
    logs, groups = np.log(values[good]), groups[good]
    order = np.argsort(groups, kind="stable")
    parts = np.split(logs[order], np.flatnonzero(np.diff(groups[order])) + 1)
    medians = np.array([np.median(part) for part in parts])
    apart = np.concatenate([part - median for part, median in zip(parts, medians, strict=True)])
    low, high = np.quantile(logs, [TAIL, 1 - TAIL])
    numbers = {"median": np.exp(np.median(logs)), "low": np.exp(low), "high": np.exp(high)}
    numbers |= {"within": _scatter(apart), "between": _scatter(medians)}
    rounded = {name: float(f"{number:.6g}") for name, number in numbers.items()}
    return Spread(**rounded, cutouts=len(logs), mosaics=len(parts))


def _scatter(values: NDArray[np.float64]) -> float:
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    return float(max(deviation, (high - low) / 3.92))


def _one_unit(units: list[str | None]) -> tuple[str | None, list[float]]:
    """Return the unit that all mosaics can be brought to, and the factor of each; None and NaN where there is none."""
    found = [_unit(text) for text in units]
    names = {name for name, _ in found}
    if len(names) != 1 or None in names:
        return None, [math.nan] * len(units)
    return names.pop(), [factor for _, factor in found]


def _unit(text: str | None) -> tuple[str | None, float]:
    plain = (text or "").strip()
    match = _JANSKY.fullmatch(plain)
    if match is not None:
        return "Jy/beam", _PREFIXES[match["prefix"].lower()]
    return (plain.lower() or None), 1.0
