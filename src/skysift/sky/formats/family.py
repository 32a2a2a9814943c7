"""Which reader a file needs, told by its first bytes."""

from __future__ import annotations

import importlib
from typing import Any

from skysift.errors import RequestError
from skysift.sky.files import open_seekable

# first bytes -> family; family -> module and what its functions need beside the path
_MAGIC = (
    (b"SIMPLE  =", "fits"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"\xff\xd8\xff", "picture"),
    *((bytes((0, 0, kind)), "idx") for kind in (8, 9, 11, 12, 13, 14)),
    *((bytes((0x80, protocol)), "batch") for protocol in (2, 3, 4, 5)),
    (b"(dp", "batch"),
    (b"}q", "batch"),
    (b"BZh", "libsvm"),
)
_MODULES = {
    "fits": "fits_image",
    "fits.fz": "fits_image",
    "npy": "stack",
    "npz": "stack",
    "idx": "stack",
    "batch": "stack",
    "libsvm": "stack",
    "picture": "picture",
}


def detect_format(path: str) -> str:
    """Family of a file by its first bytes, behind gzip too: a key of `_MODULES`.

    Raises
    ------
    RequestError
        No such file, an empty one, or one of another kind.
    """
    with open_seekable(path) as stream:
        head = stream.read(9)
    if not head:
        raise RequestError(f"{path} is empty; fetch it again.")
    for magic, family in _MAGIC:
        if head.startswith(magic):
            return family
    raise RequestError(f"{path} is not an image that skysift reads; give FITS, npz, npy, idx, PNG or JPEG.")


def reader_module(name: str) -> Any:
    """Import the module of a family, or of a `MosaicInfo.format`."""
    return importlib.import_module(f"skysift.sky.formats.{_MODULES[name]}")
