"""Masks that lie beside a mosaic: finding the file, and reading it as booleans."""

from __future__ import annotations

import glob
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError
from skysift.sky.files import is_url, local_path
from skysift.sky.info import MosaicInfo
from skysift.sky.mosaic import Mosaic, inspect_mosaic, open_mosaic
from skysift.sky.sources import stem


def find_mask(mosaic: str, pattern: str) -> str:
    """Find the mask of a mosaic.

    Parameters
    ----------
    mosaic : str
        Path or URL of the mosaic.
    pattern : str
        File name or glob pattern, in the mosaic's folder unless it holds a path. `{stem}` stands for the mosaic's
        name without `.fits`, `.fits.gz` and the like, `{name}` for the whole name: `{stem}_mask.fits`,
        `masks/{stem}*.fits`.

    Returns
    -------
    str
        The one file that fits. Where several do, those whose name starts with the mosaic's stem are preferred.

    Raises
    ------
    RequestError
        No file or several fit, or the pattern holds an unknown name in braces.
    """
    name = PurePosixPath(mosaic).name
    try:
        wanted = pattern.format(stem=stem(name), name=name)
    except (KeyError, IndexError, ValueError) as error:
        raise RequestError(f"The mask pattern {pattern} is not understood; use {{stem}} or {{name}} in it.") from error
    if is_url(mosaic) or is_url(wanted):
        folder = mosaic.rsplit("/", 1)[0]
        found = _match_url(wanted if is_url(wanted) else f"{folder}/{wanted}")
    else:
        local = local_path(mosaic)
        place = wanted if local is None else str(_escaped(str(local.parent)) / PurePosixPath(wanted))
        found = sorted(glob.glob(place))  # noqa: PTH207 - an absolute pattern, which Path.glob refuses
    found = [path for path in found if PurePosixPath(path).name != name]
    if len(found) > 1:
        found = [p for p in found if PurePosixPath(p).name.startswith(stem(name))] or found
    if not found:
        raise RequestError(f"{mosaic} has no mask {wanted} beside it; give another pattern, or leave the mask out.")
    if len(found) > 1:
        raise RequestError(
            f"{mosaic} has {len(found)} masks that fit {wanted} ({found[0]}, {found[1]} ...);"
            " give a pattern that fits one, with {stem} in it."
        )
    return found[0]


def _escaped(folder: str) -> PurePosixPath:
    return PurePosixPath(glob.escape(folder))


def _match_url(pattern: str) -> list[str]:
    import fsspec

    system, inner = fsspec.core.url_to_fs(pattern)
    return sorted(str(system.unstrip_protocol(path)) for path in system.glob(inner))


def open_mask(path: str, mosaic: MosaicInfo) -> Mosaic:
    """Open a mask and check that it fits.

    Parameters
    ----------
    path : str
        FITS image of booleans or integers (such as PyBDSF's island mask): 0 outside of sources, anything else inside.
    mosaic : MosaicInfo
        The mosaic that it belongs to.

    Returns
    -------
    Mosaic
        To be read like the mosaic; `as_mask` turns what is read into booleans.

    Raises
    ------
    RequestError
        Not an image, or of another shape than the mosaic.
    """
    info = inspect_mosaic(path, plane=0, positions="ignore")
    if info.shape != mosaic.shape:
        raise RequestError(
            f"{path} has {info.shape[1]} x {info.shape[0]} pixels, but its mosaic {mosaic.path} has"
            f" {mosaic.shape[1]} x {mosaic.shape[0]}; give the mask of this mosaic."
        )
    return open_mosaic(info)


def as_mask(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which pixels of a mask are set: finite and not 0."""
    return np.isfinite(pixels) & (pixels != 0)
