"""MiraBest as its makers publish it in FITS: one file a source, its class and position in the name.

Porter & Scaife 2023 (RASTI 2, 293; arXiv:2305.11108); files and code at https://github.com/fmporter/MiraBest (folder
`FITS`) and https://github.com/fmporter/MiraBest_builder. A name reads `CLASS_RA+DEC_REDSHIFT_SIZE.fits`, with RA and
Dec in degrees and the largest angular size in arcsec: `100_114.330+029.492_0.1105_0034.32.fits`. The class is three
digits: 1 FR-I, 2 FR-II, 3 hybrid; 0 confident, 1 uncertain; 0 standard, 1 double-double, 2 wide-angle tail, 3 diffuse,
4 head-tail. A file shows 300 x 300 pixels of 1.8" (FIRST); the batches made of them, which everybody trains on, the
central 150 x 150. These are cut here too, unless `--window-size` says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from skysift.datasets.labelled import LabelledSet, Request
from skysift.errors import RequestError

__all__ = ["CLASSES", "companions", "fits", "position", "read"]

CLASSES = ("100", "102", "104", "110", "112", "200", "201", "210", "300", "310")
"""In the order of the numbers 0-9 that stand for them in the batches (`label_names` of `batches.meta`)."""
PUBLISHED_SIDE = 150
"""Of the images in the batches [pixel]."""
FAULTY = (
    "100_036.061+000.563_0.1400_0093.07",
    "200_003.198+000.788_0.1484_0026.82",
    "200_033.655+000.710_0.2900_0030.76",
    "210_348.925-000.435_0.0910_0050.37",
)
"""Files with known faults that the batches leave out (`get_blacklist` in `mirabest_processing.py`)."""
_NAME = re.compile(
    r"(?P<class>[123][01]\d)_(?P<ra>\d{3}\.\d+)(?P<dec>[+-]\d{2,3}\.\d+)_\d+\.\d+_\d+\.\d+\.(?:fits?(?:\.gz)?|png)"
)


def fits(path: Path) -> bool:
    """Tell whether a path is a folder of such files, or one with the folder `FITS`."""
    return bool(_files(path))


def companions(path: Path, request: Request) -> list[str]:  # noqa: ARG001 - one signature for all formats
    """Return the further files that belong to the set: the folder holds all."""
    return []


def read(path: Path, request: Request) -> LabelledSet:
    """Read the folder.

    Raises
    ------
    RequestError
        If only faulty files are there, or an image is smaller than the window.
    """
    from skysift.sky.mosaic import inspect_mosaic

    files = [file for file in _files(path) if not file.name.startswith(FAULTY)]
    if not files:
        raise RequestError(f"{path} holds only files of MiraBest that are known to be faulty; fetch the others.")
    side = request.window_size or PUBLISHED_SIDE
    ny, nx = inspect_mosaic(str(files[0]), hdu=request.hdu, plane=request.plane, positions="ignore").shape
    if side > min(nx, ny):
        raise RequestError(f"{files[0]} has {nx} x {ny} pixels, less than the window of {side}; choose a smaller one.")
    window = np.array([(nx - side) // 2, (ny - side) // 2, side, side], np.int64)
    places = [position(file.name) for file in files]
    return LabelledSet(
        files=tuple(str(file) for file in files),
        file=np.arange(len(files)),
        labels=[[file.name[:3]] for file in files],
        windows=np.tile(window, (len(files), 1)),
        ra=np.array([ra for ra, _ in places]),
        dec=np.array([dec for _, dec in places]),
        classes=tuple(name for name in CLASSES if any(file.name.startswith(name) for file in files)),
    )


def position(name: str) -> tuple[float, float]:
    """Return right ascension and declination [deg] that a file's name holds; NaN where it holds none."""
    found = _NAME.search(Path(name).name)
    return (np.nan, np.nan) if found is None else (float(found["ra"]), float(found["dec"]))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    for folder in (path, path / "FITS"):
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        files = [p for p in inside if p.suffix != ".png" and _NAME.fullmatch(p.name)]
        if files:
            return files
    return []
