"""Which of the files of a request are mosaics: a folder may hold tables beside them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skysift.errors import RequestError, SkysiftWarning

if TYPE_CHECKING:
    from skysift.cutouts.stages import Cutouts
    from skysift.sky.info import MosaicInfo

__all__ = ["holds_image", "inspect_images", "named_files"]


def inspect_images(paths: Sequence[str], stage: Cutouts) -> list[MosaicInfo]:
    """Inspect the mosaics of a request.

    Parameters
    ----------
    paths : sequence of str
        What `stage.mosaics` stands for.
    stage : Cutouts
        The request.

    Returns
    -------
    list of MosaicInfo
        In the order of the paths.

    Warns
    -----
    SkysiftWarning
        Of a folder or pattern, a file that holds no image (a table, a spectrum) is left out; and as `inspect_mosaic`.

    Raises
    ------
    RequestError
        If a file that was given by its own path holds no image, or if none does; and as `inspect_mosaic`.
    """
    from skysift.sky.info import NoImageError
    from skysift.sky.mosaic import inspect_mosaic

    named = named_files(stage.mosaics)
    found: list[MosaicInfo] = []
    for path in paths:
        try:
            info = inspect_mosaic(path, hdu=stage.hdu, plane=stage.plane, positions=stage.positions, bunit=stage.bunit)
        except NoImageError:
            if path in named:
                raise
            warnings.warn(f"{path} holds no image and is left out.", SkysiftWarning, stacklevel=2)
        else:
            found.append(info)
    if not found:
        raise RequestError(f"{', '.join(stage.mosaics)}: no file holds an image; give FITS images.")
    return found


def holds_image(path: str) -> bool:
    """Tell whether a file holds an image, as its headers say."""
    from skysift.sky.info import NoImageError
    from skysift.sky.mosaic import inspect_mosaic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkysiftWarning)
        try:
            inspect_mosaic(path)
        except NoImageError:
            return False
    return True


def named_files(patterns: Sequence[str]) -> Collection[str]:
    """Return the files that a request gives by their own paths, not as part of a folder or pattern."""
    return {*patterns, *(str(Path(pattern).expanduser().resolve()) for pattern in patterns)}
