"""The eight positions in which a square image can lie, the only augmentation of fine-tuning."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.geometry import dihedral
from skysift.ssl.plan import augment_seeds

POSITIONS = 8
TURN_VIEW = 0x8D


def positions(rows: NDArray[np.int64], *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Draw the position in which each image is shown in an epoch, uniform over all eight.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        The images; an image's position depends on its own row alone.
    seed, epoch : int
        What else it depends on.

    Returns
    -------
    ndarray of int64, shape (n,)
        0 = as it is; see `turn`.
    """
    return augment_seeds(rows, seed=seed, epoch=epoch, view=TURN_VIEW) % POSITIONS


def turn(images: Tensor, position: Tensor) -> Tensor:
    """Bring images into a position: mirror left and right where it is odd, then `position // 2` quarter turns.

    Parameters
    ----------
    images : Tensor
        (B, C, S, S).
    position : Tensor
        (B,) int64 in [0, 8).

    Returns
    -------
    Tensor
        (B, C, S, S); pixels are moved, not interpolated.
    """
    nowhere = torch.zeros((len(images), 1, 0, 0), dtype=torch.bool, device=images.device)
    mirrored = position % 2 == 1
    return dihedral(images, nowhere, mirrored, torch.zeros_like(mirrored), position // 2)[0]
