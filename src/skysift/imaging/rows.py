"""Preprocessing one image after the other on the CPU: what is worked on stays in the processor's cache."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skysift.imaging.options import Preprocess
from skysift.imaging.order import medians
from skysift.imaging.pixels import learn_by_row
from skysift.imaging.planes import FAR_BELOW, Planes
from skysift.imaging.resize import LEAST_WEIGHT, Banded

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
UNIT = np.ones(1, np.float32)


def fill_rows(images: Tensor, spec: Preprocess, seeds: Tensor | None, out: Tensor, kept: Tensor) -> None:
    """Fill in (B, C, S, S) images and (B, 1, S, S) masks; as `fill_batch`, but all on the CPU."""
    pixels = learn_by_row(images, spec.clips, zero_is_invalid=spec.zero_is_invalid)
    planes = Planes(spec, pixels, seeds)
    height, width = images.shape[1:]
    banded = Banded(planes.number, height, width, spec.size)
    weigh = None if all(pixels.whole) else _Weigh(height, width, spec.size)
    made = np.empty((planes.number, spec.size, spec.size), np.float32)
    kept.fill_(True)
    for row, (image, target) in enumerate(zip(images.numpy(), out.numpy(), strict=True)):
        valid = None if pixels.whole[row] else pixels.valid[row]
        usable = image if valid is None else np.where(valid.numpy(), image, FAR_BELOW)
        _show(usable, planes.bottom[row], planes.span[row], banded.source)
        for plane in planes.bent:
            planes.bend(plane, slice(row, row + 1), torch.from_numpy(banded.source[plane : plane + 1]))
        result = made if planes.number < spec.channels else target
        banded.run(planes.scale[row], result)
        if valid is not None and weigh is not None:
            seen, factor = weigh(valid.numpy())
            result *= factor
            if spec.fill == "median":
                middle = medians(torch.from_numpy(banded.source)[None], valid[None])[0].numpy() * planes.scale[row]
                np.copyto(result, middle[:, None, None], where=~seen)
            kept[row] = torch.from_numpy(seen)
        if result is made:
            np.take(made, planes.place, axis=0, out=target)


def _show(image: Floats, bottom: Floats, span: Floats, planes: Floats) -> None:
    """Fill planes (P, H, W) with an image (H, W), clamped to [0, span] above a bottom (P,) each."""
    for number, plane in enumerate(planes):
        before = number - 1
        if number and bottom[number] == bottom[before] and span[number] <= span[before]:
            np.minimum(planes[before], span[number], out=plane)  # often zscale of another contrast
        else:
            np.subtract(image, bottom[number], out=plane)
            plane.clip(0, span[number], out=plane)


class _Weigh:
    """Tells where valid pixels have enough weight in the resized image, and what to multiply it by there."""

    def __init__(self, height: int, width: int, size: int) -> None:
        self._banded = Banded(1, height, width, size)
        self._weight = np.empty((1, size, size), np.float32)

    def __call__(self, valid: Flags) -> tuple[Flags, Floats]:
        """Return (1, S, S) flags, and factors, 0 where there is not enough."""
        self._banded.source[0] = valid
        self._banded.run(UNIT, self._weight)
        seen = self._weight >= LEAST_WEIGHT
        return seen, np.divide(1, self._weight, out=np.zeros_like(self._weight), where=seen)
