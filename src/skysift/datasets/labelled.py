"""What every reader of labelled sets gives: images, their labels, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from skysift.errors import RequestError

__all__ = ["IMAGE_SUFFIXES", "LabelledSet", "Request"]

IMAGE_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz", ".png", ".jpg", ".jpeg", ".npy")

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """How a labelled set is to be read.

    Attributes
    ----------
    columns : mapping of str to str
        What is meant -> the name that it has in the file (`label`, `images`, `path`, `ra`, `dec`, `split` ...).
    mosaics : tuple of str
        Maps that positions lie on.
    window_size : int or None
        Side of cutouts around positions [pixel].
    hdu, plane : int or None
        Of FITS files.
    positions : {"wcs", "ignore"}
        Whether the positions of FITS files can be trusted.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    mosaics: tuple[str, ...] = ()
    window_size: int | None = None
    hdu: int | None = None
    plane: int | None = None
    positions: Literal["wcs", "ignore"] = "wcs"


@dataclass(frozen=True)
class LabelledSet:
    """N labelled cutouts.

    Attributes
    ----------
    files : tuple of str
        Images, or stacks of images.
    file : ndarray of int, shape (N,)
        File of each cutout.
    labels : list of list of str
        Classes of each cutout.
    planes : ndarray of int, shape (N,), or None
        Image of the stack; None where files hold one image each.
    windows : ndarray of int, shape (N, 4), or None
        x0, y0, width, height [pixel]; None for whole images.
    ra, dec : ndarray of float, shape (N,), or None
        Positions for images without a WCS, ICRS [deg]; NaN where unknown.
    split : list of str or None, or None
        Part of a published division that each cutout belongs to.
    classes : tuple of str
        Order of the classes, where the file says; empty: natural order of the labels.
    off_map : int
        Entries that lie on no map and are left out.
    """

    files: tuple[str, ...]
    file: IntArray
    labels: list[list[str]]
    planes: IntArray | None = None
    windows: IntArray | None = None
    ra: FloatArray | None = None
    dec: FloatArray | None = None
    split: list[str | None] | None = None
    classes: tuple[str, ...] = ()
    off_map: int = 0

    def __post_init__(self) -> None:
        if not len(self.file):
            raise RequestError("The labelled set has no entries; give one with at least one image.")

    def __len__(self) -> int:
        return len(self.file)
