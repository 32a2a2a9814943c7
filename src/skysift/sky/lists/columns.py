"""Which column is which: by name, else by UCD; and in which unit it is."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError, SkysiftWarning
from skysift.sky.lists.raw import RawTable
from skysift.sky.quiet import quiet


@dataclass(frozen=True)
class Quantity:
    """A column of the normalised table and how to find it.

    Attributes
    ----------
    unit : str
        That values are converted to; empty for text.
    names : tuple of str
        Column names in order of preference, lower case, without anything but letters and digits.
    ucds : tuple of str
        UCDs (1+ and 1.0) in order of preference, lower case.
    default : str
        Unit of columns that have none.
    """

    unit: str
    names: tuple[str, ...]
    ucds: tuple[str, ...] = ()
    default: str = ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


QUANTITIES: dict[str, Quantity] = {
    "source_id": Quantity(
        "",
        _words("gausid sourcename componentname sourceid componentid name uuid objid objectid catid id num number"),
        ("meta.id;meta.main", "id_main", "meta.id"),
    ),
    "ra": Quantity(
        "deg",
        _words("ra raj2000 ra2000 radeg radegcont racen raicrs alphaj2000 alpha raobj rightascension ramean"),
        ("pos.eq.ra;meta.main", "pos_eq_ra_main", "pos.eq.ra"),
        "deg",
    ),
    "dec": Quantity(
        "deg",
        _words("dec dej2000 decj2000 dec2000 decdeg dedeg decdegcont de deccen decicrs deicrs deltaj2000 delta decl")
        + _words("decobj declination decmean"),
        ("pos.eq.dec;meta.main", "pos_eq_dec_main", "pos.eq.dec"),
        "deg",
    ),
    "glon": Quantity("deg", _words("glon gallon galacticlongitude"), ("pos.galactic.lon",), "deg"),
    "glat": Quantity("deg", _words("glat gallat galacticlatitude"), ("pos.galactic.lat",), "deg"),
    "x": Quantity("pixel", _words("x xposn xpix xpixel xcentroid xcen ximage"), ("pos.cartesian.x",), "pixel"),
    "y": Quantity("pixel", _words("y yposn ypix ypixel ycentroid ycen yimage"), ("pos.cartesian.y",), "pixel"),
    "width": Quantity("pixel", _words("boxwidth bboxwidth width"), (), "pixel"),
    "height": Quantity("pixel", _words("boxheight bboxheight height"), (), "pixel"),
    "major": Quantity(
        "arcsec",
        _words("maj major majoraxis majaxis fittedmajor majfit a smaj bmajfit las angularsize size"),
        ("phys.angsize.smajaxis", "phys.angsize"),
        "arcsec",
    ),
    "minor": Quantity(
        "arcsec",
        _words("min minor minoraxis minaxis fittedminor minfit b smin bminfit"),
        ("phys.angsize.sminaxis",),
        "arcsec",
    ),
    "pa": Quantity("deg", _words("pa posang positionangle fittedposang fittedpa bpa theta"), ("pos.posang",), "deg"),
    "peak": Quantity(
        "Jy",
        _words("peakflux peak fpeak fluxpeak speak peakbrightness peakfluxdensity fp sp fitpeak maxflux"),
        ("phot.flux.density;stat.max", "phot.flux.density.sb"),
        "Jy",
    ),
    "flux": Quantity(
        "Jy",
        _words("totalflux totalfluxsource intflux fint fluxint integratedflux flux total stotal sint fluxdensity")
        + _words("totalfluxdensity"),
        ("phot.flux.density",),
        "Jy",
    ),
    "label": Quantity("", _words("label labels class sourceclass morphology type"), ("src.class", "src.morph.type")),
    "mosaic": Quantity("", _words("mosaic field image mosaicname filename img"), ("meta.file",)),
}

# unit at the end of a name: Fpeak_mJy, Maj_as, ra_deg, flux (mJy)
_SUFFIX = re.compile(
    r"[\s_\[(]+(mjy|ujy|jy|as|arcsec|arcmin|deg|hours?|mas|pix|pixels?)(?:[_/ ]*(?:beam|bm))?[\])]*$", re.IGNORECASE
)
_SUFFIX_UNITS = {"as": "arcsec", "hour": "hourangle", "hours": "hourangle", "pix": "pixel", "pixels": "pixel"}
_SPELLINGS = {
    "asec": "arcsec",
    "degrees": "deg",
    "degree": "deg",
    "jy": "Jy",
    "mjy": "mJy",
    "ujy": "uJy",
    "pixels": "pixel",
    "pix": "pixel",
}
_OVERRIDE = re.compile(r"^(?P<name>.*?)\s*(?:\[(?P<unit>[^\]]*)\])?$")


def parse_overrides(overrides: Mapping[str, str] | list[str] | tuple[str, ...] | None) -> dict[str, str]:
    """Turn `ra=RAJ2000` or {"ra": "RAJ2000"} into a mapping, and check the left sides.

    Raises
    ------
    RequestError
        No `=`, or a quantity that is not known.
    """
    if not overrides:
        return {}
    pairs = overrides.items() if isinstance(overrides, Mapping) else [tuple(item.split("=", 1)) for item in overrides]
    out: dict[str, str] = {}
    for pair in pairs:
        if len(pair) != 2 or pair[0].strip() not in QUANTITIES:
            raise RequestError(
                f"The column setting {'='.join(pair)} is not understood; write QUANTITY=COLUMN with one of"
                f" {', '.join(QUANTITIES)}."
            )
        out[pair[0].strip()] = pair[1].strip()
    return out


def match_columns(raw: RawTable, overrides: Mapping[str, str], path: str) -> dict[str, tuple[str, str]]:
    """Find the column of each quantity.

    Parameters
    ----------
    raw : RawTable
        The file.
    overrides : mapping of str to str
        Quantity to column name, with a unit in brackets where the file has none or a wrong one: `S1400 [mJy]`.
    path : str
        For messages.

    Returns
    -------
    dict of str to tuple of str
        Quantity -> (column, unit); quantities without a column are left out.

    Raises
    ------
    RequestError
        An override that names no column.
    """
    plain = {_plain_name(name): name for name in reversed(raw.columns)}  # of equal names the first wins
    bare = {_plain_name(_SUFFIX.sub("", name)): name for name in reversed(raw.columns)}
    found: dict[str, tuple[str, str]] = {}
    for key, quantity in QUANTITIES.items():
        if key in overrides:
            found[key] = _overridden(raw, overrides[key], key, path)
            continue
        hits = [plain.get(n) or bare.get(n) for n in quantity.names]
        hits += [name for ucd in quantity.ucds for name in raw.columns if _same_ucd(ucd, raw.ucds.get(name, ""))]
        used = {column for column, _ in found.values()}
        name = next((n for n in hits if n is not None and n not in used), "")
        if name:
            found[key] = name, _unit_of(raw, name, key)
    return found


def _overridden(raw: RawTable, wanted: str, key: str, path: str) -> tuple[str, str]:
    if wanted in raw.columns:
        return wanted, _unit_of(raw, wanted, key)
    asked = _OVERRIDE.match(wanted)
    name, unit = (asked["name"], asked["unit"]) if asked else (wanted, None)
    if name not in raw.columns:
        raise RequestError(f"{path} has no column {name}; it has {', '.join(raw.columns)}.")
    return name, unit or _unit_of(raw, name, key)


def _same_ucd(wanted: str, given: str) -> bool:
    """Whether a UCD has the primary word that is wanted and all its secondary ones, and is no error of a value."""
    have, want = (text.lower().replace(" ", "").split(";") for text in (given, wanted))
    return have[0] == want[0] and set(want) <= set(have) and not any(w.startswith("stat.error") for w in have)


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unit_of(raw: RawTable, name: str, key: str) -> str:
    """Unit that the file gives, that the name ends in, or that is the custom."""
    if name in raw.units and raw.units[name].strip():
        return raw.units[name]
    suffix = _SUFFIX.search(name)
    if suffix:
        return _SUFFIX_UNITS.get(suffix[1].lower(), suffix[1].lower().replace("jy", "Jy"))
    if raw.pybdsf and key in ("major", "minor"):
        return "deg"
    return QUANTITIES[key].default


def convert(raw: RawTable, name: str, unit: str, key: str, path: str) -> npt.NDArray[np.float64]:
    """Values of a column in the unit of its quantity.

    Sexagesimal text is understood as hours for right ascension and degrees for everything else. A unit that cannot
    be converted gives NaN and a warning.

    Raises
    ------
    RequestError
        Text that is no number where a position is needed.
    """
    values = raw.columns[name]
    wanted = QUANTITIES[key].unit
    if values.dtype == object:
        return _from_text(values, name, unit, key, path)
    numbers = values.astype(np.float64)
    factor = _factor(unit, wanted)
    if factor is None:
        message = f"{path}: the unit {unit} of the column {name} is not one of {key} ({wanted})"
        if key in ("ra", "dec", "glon", "glat"):
            raise RequestError(f"{message}; name the right column and unit, such as {key}={name}[deg].")
        warnings.warn(f"{message}, so it is left empty; set {key}={name}[UNIT].", SkysiftWarning, stacklevel=2)
        return np.full(len(numbers), np.nan)
    if wanted == "pixel" and _plain_name(name) in ("ximage", "yimage"):
        numbers = numbers - 1  # SExtractor counts from 1
    return numbers * factor


def _factor(unit: str, wanted: str) -> float | None:
    """What a value is multiplied by; per beam counts for nothing, as the beam is the mosaic's."""
    from astropy import units

    text = re.sub(r"(?i)[\s./*]*(/|per)?\s*\(?(beam|bm)\)?(\*\*|\^)?(-1)?", "", unit.strip()).strip()
    text = {"asec": "arcsec", "degrees": "deg", "degree": "deg", "jy": "Jy", "mjy": "mJy", "ujy": "uJy"}.get(
        text.lower(), text
    )
    text = {"pixels": "pixel", "pix": "pixel", "": wanted}.get(text.lower(), text)
    with quiet():
        try:
            return float(units.Unit(text).to(units.Unit(wanted)))
        except (ValueError, TypeError, units.UnitConversionError):
            return None


def _from_text(values: npt.NDArray[Any], name: str, unit: str, key: str, path: str) -> npt.NDArray[np.float64]:
    from astropy import units
    from astropy.coordinates import Angle

    texts = ["nan" if v is None else str(v) for v in values]
    try:
        return np.array([float(t) for t in texts]) * (_factor(unit, QUANTITIES[key].unit) or 1.0)
    except ValueError:
        position = key in ("ra", "dec")
    if position:
        base = units.hourangle if key == "ra" else units.deg
        try:
            angles = Angle(["0" if t == "nan" else t for t in texts], unit=base).deg
            return np.where([t == "nan" for t in texts], np.nan, angles)
        except (ValueError, TypeError) as error:
            raise RequestError(
                f"{path} holds positions in the column {name} that are not understood ({error}); give degrees."
            ) from error
    warnings.warn(f"{path}: the column {name} holds text, so {key} is left empty.", SkysiftWarning, stacklevel=3)
    return np.full(len(values), np.nan)
