"""What is searched for: a cutout by its id, the sky at a position, or an image from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import Images, PixelSource
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.sky.info import Positions
    from skysift.sky.mosaic import Mosaic
    from skysift.store.artifact import Artifact

Image = NDArray[np.float32]
LARGEST = 4096
"""Side of the largest image that counts as a cutout [pixel]."""


def row_of(ids: NDArray[np.str_], wanted: str) -> int:
    """Return the row of a cutout by its id or the beginning of it.

    Raises
    ------
    RequestError
        If there is none, or several.
    """
    known = np.asarray(ids).astype(str)
    rows = np.flatnonzero(np.char.startswith(known, wanted)) if wanted else np.arange(0)
    if len(rows) == 1:
        return int(rows[0])
    if not len(rows):
        raise RequestError(f"no cutout {wanted!r} among these {len(known):,}; ids are the column cutout_id.")
    raise RequestError(
        f"{len(rows):,} cutouts begin with {wanted!r}, as {known[rows[0]]} and {known[rows[1]]}; say more."
    )


def parse_position(text: str) -> tuple[float, float]:
    """Return right ascension and declination [deg, ICRS] from what a person writes.

    Parameters
    ----------
    text : str
        Two numbers in degrees ("150.1 -2.2", a comma may part them), or hours and degrees with minutes and seconds
        ("10:00:24 -02:12:00", "10h00m24s -2d12m", "10 00 24 -02 12 00").

    Raises
    ------
    RequestError
        If it is neither.
    """
    from astropy.coordinates import SkyCoord

    words = text.replace(",", " ").split()
    units = ("deg", "deg")
    if len(words) > 2 or any(mark in text for mark in ":hH"):
        units = ("hourangle", "deg")
    try:
        place = SkyCoord(" ".join(words), unit=units, frame="icrs")
        ra, dec = float(place.ra.deg), float(place.dec.deg)
    except (ValueError, TypeError) as error:
        reason = (str(error).strip().splitlines() or ["unreadable"])[0]
        raise RequestError(f"{text!r} is no position ({reason}); write '150.1 2.2' or '10:00:24 +02:12:00'.") from None
    if not np.isfinite([ra, dec]).all():
        raise RequestError(f"{text!r} is no position; write '150.1 2.2' or '10:00:24 +02:12:00'.")
    return ra, dec


def separation(ra: NDArray[np.float64], dec: NDArray[np.float64], at: tuple[float, float]) -> NDArray[np.float64]:
    """Return the distance of positions from a point [deg], NaN where they are NaN (haversine formula)."""
    lon, lat, lon0, lat0 = np.radians(ra), np.radians(dec), *np.radians(at)
    chord = np.sin((lat - lat0) / 2) ** 2 + np.cos(lat) * np.cos(lat0) * np.sin((lon - lon0) / 2) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))))


def row_at(catalogue: Catalogue, ra: float, dec: float) -> int:
    """Return the cutout that contains a position, the one with the nearest centre where several do.

    Parameters
    ----------
    catalogue : Catalogue
        Cutouts.
    ra, dec : float
        ICRS [deg].

    Raises
    ------
    RequestError
        If none does; it says how far the nearest is.
    """
    apart = separation(catalogue.column("ra"), catalogue.column("dec"), (ra, dec))
    if not np.isfinite(apart).any():
        raise RequestError("none of these cutouts has a position on the sky; search with --cutout or --image.")
    of_mosaic = catalogue.mosaic_rows()
    scales = np.array([s or np.nan for s in catalogue.mosaics.column("pixel_scale").to_pylist()], np.float64)[of_mosaic]
    windows = catalogue.windows
    # twice the half diagonal, since the scale varies over a projection
    reach = np.hypot(windows[:, 2], windows[:, 3]) * np.where(np.isfinite(scales), scales, np.inf) / 3600
    near = np.flatnonzero(apart <= reach)
    for number in np.unique(of_mosaic[near]):
        rows = near[of_mosaic[near] == number]
        x, y = _pixel(catalogue, int(number), ra, dec)
        x0, y0, width, height = windows[rows].T
        inside = (x >= x0 - 0.5) & (x < x0 + width - 0.5) & (y >= y0 - 0.5) & (y < y0 + height - 0.5)
        apart[rows[inside]] -= 360  # before all that don't contain it, still in order of distance
    best = int(np.nanargmin(apart))
    if apart[best] < 0:
        return best
    ids = catalogue.table.column("cutout_id")
    raise RequestError(
        f"no cutout contains RA {ra:.5f}, Dec {dec:.5f}; the nearest centre, of {ids[best].as_py()}, is "
        f"{_angle(float(apart[best]))} away."
    )


def _pixel(catalogue: Catalogue, number: int, ra: float, dec: float) -> tuple[float, float]:
    """Return the pixel of a position in one mosaic; NaN without a WCS."""
    from skysift.sky.info import MosaicInfo
    from skysift.sky.wcs import icrs_to_pixel

    entry = catalogue.mosaics.slice(number, 1).to_pylist()[0]
    if entry["wcs_header"] is None:
        return float("nan"), float("nan")
    shape = (int(entry["ny"]), int(entry["nx"]))
    info = MosaicInfo("", entry["format"] or "fits", 0, 0, shape, wcs_header=entry["wcs_header"])
    x, y = icrs_to_pixel(info, ra, dec)
    return float(x), float(y)


def _angle(degrees: float) -> str:
    if degrees >= 1:
        return f"{degrees:.2f} deg"
    return f"{60 * degrees:.2f} arcmin" if degrees >= 1 / 60 else f"{3600 * degrees:.1f} arcsec"


def usual_size(catalogue: Catalogue) -> int:
    """Return the commonest width of cutouts [pixel]; of equally common ones the largest."""
    sizes, counts = np.unique(catalogue.windows[:, 2], return_counts=True)
    return int(sizes[len(sizes) - 1 - counts[::-1].argmax()])


def read_image(path: str, *, zero_is_nan: bool = False) -> Image:
    """Read a file (FITS, PNG, JPEG, NumPy) as one cutout (h, w).

    Raises
    ------
    RequestError
        If it is no image, or a whole mosaic.
    """
    with _opened(path, zero_is_nan, "ignore") as mosaic:
        ny, nx = mosaic.shape
        if max(ny, nx) > LARGEST:
            raise RequestError(
                f"{path} has {nx} x {ny} pixels, too many for a cutout: name it as --mosaic with a --position in it."
            )
        return mosaic.read(0, ny, 0, nx)


def read_window(path: str, ra: float, dec: float, size: int, *, zero_is_nan: bool = False) -> Image:
    """Read a window (size, size) of a mosaic that need not be in any catalogue, centred on a position [deg, ICRS].

    Raises
    ------
    RequestError
        If the mosaic has no usable WCS, or no data there.
    """
    from skysift.sky.wcs import icrs_to_pixel

    with _opened(path, zero_is_nan) as mosaic:
        if mosaic.info.wcs_header is None:
            raise RequestError(f"{path} has no usable WCS, so no position in it is known; cut the window out yourself.")
        x, y = (float(v) for v in icrs_to_pixel(mosaic.info, ra, dec))
        ny, nx = mosaic.shape
        if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
            raise RequestError(f"RA {ra:.5f}, Dec {dec:.5f} is outside of {path}; choose another mosaic.")
        # the centre of a window of even size is between two pixels, as in a catalogue
        x0, y0 = (int(np.floor(v - (size - 1) / 2 + 0.5)) for v in (x, y))
        image = mosaic.read(y0, y0 + size, x0, x0 + size)
    if not np.isfinite(image).any():
        raise RequestError(f"{path} has no data around RA {ra:.5f}, Dec {dec:.5f}; choose another position.")
    return image


def _opened(path: str, zero_is_nan: bool, positions: Positions = "wcs") -> Mosaic:
    from skysift.sky.mosaic import inspect_mosaic, open_mosaic

    return open_mosaic(inspect_mosaic(path, positions=positions), zero_is_nan=zero_is_nan)


class GivenPixels(PixelSource):
    """Images in memory as a source of pixels.

    Parameters
    ----------
    images : sequence of ndarray (h, w), float32
        NaN = no data.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = list(images)
        self.windows = np.array([(0, 0, i.shape[1], i.shape[0]) for i in images], np.int64).reshape(-1, 4)

    def _read(self, rows: NDArray[np.int64], images: Images) -> None:
        for place, row in enumerate(rows.tolist()):
            images[place][...] = self.images[row]

    def _read_masks(self, rows: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
        return [np.zeros(self.images[row].shape, bool) for row in rows.tolist()]


def encode_like(
    features: Artifact,
    images: Sequence[Image],
    get: Callable[[str], Artifact],
    locate: Callable[[str], str],
    *,
    device: str = "auto",
) -> Image:
    """Return the features (B, D) of images by the encoder, preprocessing and precision of known features.

    Parameters
    ----------
    features : Artifact
        Made by `skysift features`.
    images : sequence of ndarray (h, w)
        Pixels as in a mosaic, NaN = no data.
    get, locate : callable
        As in `same_encoder`.

    Raises
    ------
    RequestError, SkysiftError
        As `same_encoder`.
    """
    from skysift.features.behind import same_encoder
    from skysift.features.extract import extract_rows

    _, encoder = same_encoder(features, get, locate)
    config = features.config
    return extract_rows(
        encoder,
        GivenPixels(images),
        device=device,
        precision=config.get("precision", "float32"),
        orientations=config.get("orientations", 1),
    )


def mosaic_name(fingerprint: str, locate: Callable[[str], str]) -> str:
    """Return the file's name of a mosaic, or the beginning of its fingerprint where it has moved."""
    try:
        return Path(locate(fingerprint)).name
    except RequestError:
        return fingerprint[:12]
