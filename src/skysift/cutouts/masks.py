"""Which mask belongs to which mosaic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from skysift.cutouts.images import holds_image
from skysift.errors import RequestError

__all__ = ["find_masks"]


def find_masks(mosaics: Sequence[str], pattern: str, named: Collection[str] = ()) -> list[tuple[str, str]]:
    """Find the mask of each mosaic.

    A folder of mosaics often holds their masks too: files that are masks of others need none and are no mosaics.

    Parameters
    ----------
    mosaics : sequence of str
        Paths or URLs, masks perhaps among them, and files that hold no image.
    pattern : str
        See `skysift.sky.find_mask`.
    named : collection of str
        Paths that the request gives by themselves: these must be mosaics.

    Returns
    -------
    list of (mosaic, mask)

    Raises
    ------
    RequestError
        If a mosaic has none or several.
    """
    from skysift.sky.masks import find_mask

    found: list[tuple[str, str]] = []
    missing: dict[str, RequestError] = {}
    for mosaic in mosaics:
        try:
            found.append((mosaic, find_mask(mosaic, pattern)))
        except RequestError as error:
            missing[mosaic] = error
    masks = {_same(mask) for _, mask in found}
    for mosaic, reason in missing.items():
        if _same(mosaic) not in masks and (mosaic in named or holds_image(mosaic)):
            raise reason
    return [(mosaic, mask) for mosaic, mask in found if _same(mosaic) not in masks]


def _same(path: str) -> str:
    return path if "://" in path else str(Path(path).resolve())
