"""Where samples lie in their images and on the sky, and which of them share pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ARCSEC = float(np.pi / 180 / 3600)
LEAST_RADIUS = 1.0 * ARCSEC


@dataclass(frozen=True)
class Windows:
    """Boxes of n samples.

    Attributes
    ----------
    mosaic : ndarray of int64, shape (n,)
        Number of the file that a sample is cut from.
    image : ndarray of int64, shape (n,)
        Number of the image: the planes of a FITS cube show one sky and are one image, those of an image stack
        (npz, idx, PNG) are as many images.
    box : ndarray of int64, shape (n, 4)
        x0, y0, x1, y1 [pixel], the ends exclusive.
    position : ndarray of float64, shape (n, 3)
        Unit vector of the centre (ICRS); NaN where the position is unknown.
    radius : ndarray of float64, shape (n,)
        Half the diagonal [rad]; at least one arcsecond.
    cell29 : ndarray of int64, shape (n,)
        HEALPix order-29 index (nested), -1 where the position is unknown.
    """

    mosaic: NDArray[np.int64]
    image: NDArray[np.int64]
    box: NDArray[np.int64]
    position: NDArray[np.float64]
    radius: NDArray[np.float64]
    cell29: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.mosaic)

    def take(self, rows: NDArray[np.int64]) -> Windows:
        """Return the windows of some rows."""
        return Windows(
            self.mosaic[rows],
            self.image[rows],
            self.box[rows],
            self.position[rows],
            self.radius[rows],
            self.cell29[rows],
        )


def overlapping(windows: Windows, test: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which test windows share at least a pixel, or a piece of sky, with a training window.

    Boxes of one image are compared exactly. Those of different images are compared on the sky, as circles around
    the boxes: a few neighbours that only come close are counted too, none that overlaps is missed.

    Parameters
    ----------
    windows : Windows
        All samples.
    test, train : ndarray of int
        Rows of `windows`.

    Returns
    -------
    ndarray of bool, shape (len(test),)
    """
    if not len(test) or not len(train):
        return np.zeros(len(test), dtype=bool)
    return _share_pixels(windows, test, train) | _share_sky(windows, test, train)


def _share_pixels(windows: Windows, test: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Compare boxes within each image; candidates come from a tree of centres for each size of training window."""
    from scipy.spatial import KDTree

    hit = np.zeros(len(test), dtype=bool)
    # the image is a third coordinate, in steps longer than any box, so that one tree serves all images
    extent = windows.box[:, 2:] - windows.box[:, :2]
    step = 4.0 * float(extent.max())
    centres = np.column_stack([(windows.box[:, :2] + windows.box[:, 2:]) / 2.0, windows.image * step])
    side = extent.max(axis=1)
    for size in np.unique(side[train]):
        rows = train[side[train] == size]
        tree = KDTree(centres[rows])
        neighbours = tree.query_ball_point(centres[test], (side[test] + size) / 2.0, p=np.inf)
        counts = np.fromiter((len(found) for found in neighbours), dtype=np.int64, count=len(test))
        if not counts.any():
            continue
        ours = np.repeat(np.arange(len(test)), counts)
        theirs = rows[np.concatenate([np.asarray(found, dtype=np.int64) for found in neighbours])]
        a, b = windows.box[test[ours]], windows.box[theirs]
        same_image = windows.image[test[ours]] == windows.image[theirs]
        shared = same_image & np.all(np.maximum(a[:, :2], b[:, :2]) < np.minimum(a[:, 2:], b[:, 2:]), axis=1)
        hit[ours[shared]] = True
    return hit


def _share_sky(windows: Windows, test: NDArray[np.int64], train: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Compare circles around the windows of different images."""
    from scipy.spatial import KDTree

    hit = np.zeros(len(test), dtype=bool)
    known: NDArray[np.bool_] = np.all(np.isfinite(windows.position), axis=1)
    ours = np.flatnonzero(known[test])
    rows = train[known[train]]
    if not len(ours) or not len(rows) or len(np.unique(windows.image[np.concatenate([test[ours], rows])])) < 2:
        return hit
    tree = KDTree(windows.position[rows])
    reach = windows.radius[test[ours]] + windows.radius[rows].max()
    neighbours = tree.query_ball_point(windows.position[test[ours]], 2 * np.sin(np.minimum(reach, np.pi) / 2))
    for number, found in zip(ours, neighbours, strict=True):
        other = rows[np.asarray(found, dtype=np.int64)]
        row = test[number]
        other = other[windows.image[other] != windows.image[row]]
        chord = np.linalg.norm(windows.position[other] - windows.position[row], axis=1)
        apart = 2 * np.arcsin(np.minimum(chord / 2, 1.0))
        hit[number] = bool(np.any(apart < windows.radius[other] + windows.radius[row]))
    return hit
