"""Random numbers that depend on a sample's seed alone: a counter through a hash, the same on every device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skysift.imaging.augment_options import Augment

DRAWS = 24
GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
SECOND = -7723592293110705685  # 0x94D049BB133111EB


def uniforms(seeds: Tensor, number: int) -> Tensor:
    """Draw uniform numbers in [0, 1).

    Parameters
    ----------
    seeds : Tensor
        (B,) int64.
    number : int
        How many for each seed; more draws don't change the first ones.

    Returns
    -------
    Tensor
        (B, number) float32, with 24 random bits each.

    Notes
    -----
    SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195): the state after n steps is the seed plus n
    times a constant, so any draw can be had at once. Integer arithmetic wraps, on CPU and GPU alike.
    """
    counter = torch.arange(1, number + 1, device=seeds.device, dtype=torch.int64)
    state = _mix(seeds.to(torch.int64))[:, None] + counter * GOLDEN
    return (_right(_mix(state), 40)).to(torch.float32) * 2.0**-24


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _right(x, 30)) * FIRST
    x = (x ^ _right(x, 27)) * SECOND
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shift right without the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


@dataclass(frozen=True)
class Draws:
    """What chance decides about the images of a batch.

    Attributes
    ----------
    spec : Augment
        What can happen, how often.
    u : Tensor
        (B, `DRAWS`) uniform numbers in [0, 1), a column for each decision.
    """

    spec: Augment
    u: Tensor

    @classmethod
    def of(cls, spec: Augment, seeds: Tensor) -> Draws:
        """Draw for the images with these seeds (B,)."""
        return cls(spec, uniforms(seeds, DRAWS))

    def crop(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the side of the crops as a share, and where they lie across and down, from 0 to 1; (B,) each."""
        assert self.spec.crop is not None
        side = self._between(0, *self.spec.crop)
        return side.sqrt() if self.spec.crop_is_area else side, self.u[:, 1], self.u[:, 2]

    def angle(self) -> Tensor | None:
        """Return by how much the crops are turned, (B,) [radian]; None where none ever is."""
        if self.spec.angle_probability == 0:
            return None
        turned = self._event(19, self.spec.angle_probability)
        return torch.where(turned, 2 * torch.pi * self.u[:, 20], 0.0)

    def gamma(self) -> Tensor:
        """Return the powers (B,) that values are raised to."""
        assert self.spec.gamma is not None
        low, high = self.spec.gamma
        return self._between(21, math.log(low), math.log(high)).exp()

    def jittered(self) -> Tensor:
        """Return whose colours are jittered, (B,) bool."""
        return self._event(3, self.spec.jitter_probability)

    def jitter(self, channels: int) -> dict[str, Tensor]:
        """Return the factors (B,) of `colour.jitter`, those that change anything, by name."""
        spec, s = self.spec, self.spec.jitter_strength
        ranges = {"brightness": (4, spec.brightness), "contrast": (5, spec.contrast)}
        if channels == 3:
            ranges["saturation"] = (6, spec.saturation)
        found = {
            name: self._between(index, max(0.0, 1 - s * width), 1 + s * width)
            for name, (index, width) in ranges.items()
            if width
        }
        if spec.hue and channels == 3:
            found["hue"] = self._between(7, -s * spec.hue, s * spec.hue)
        return found

    def turns(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return who is flipped left to right, who top to bottom, (B,) bool, and the quarter turns after it."""
        spec = self.spec
        if spec.flips_exclude_each_other:
            u = self.u[:, 8]
            horizontal = u < spec.flip_horizontal
            vertical = (u >= spec.flip_horizontal) & (u < spec.flip_horizontal + spec.flip_vertical)
        else:
            horizontal, vertical = self._event(8, spec.flip_horizontal), self._event(9, spec.flip_vertical)
        turned = self._event(10, spec.rotate_probability)
        return horizontal, vertical, torch.where(turned, 1 + (self.u[:, 11] * 3).long(), 0)

    def blurred(self) -> Tensor:
        """Return who is blurred, (B,) bool."""
        return self._event(13, self.spec.blur_probability)

    def blur_sigma(self) -> Tensor:
        """Return the scatter of the Gaussians (B,) [pixel]."""
        return self._between(14, *self.spec.blur_sigma)

    def thresholded(self) -> Tensor:
        """Return whose faint pixels are set to zero, (B,) bool."""
        return self._event(15, self.spec.threshold_probability)

    def threshold_share(self, channels: int) -> Tensor:
        """Return which share of a channel's pixels is faint, (B, channels)."""
        low, high = self.spec.threshold_percentile
        return (low + (high - low) * self.u[:, 16 : 16 + channels]) / 100

    def _event(self, index: int, probability: float) -> Tensor:
        return self.u[:, index] < probability

    def _between(self, index: int, low: float, high: float) -> Tensor:
        return low + (high - low) * self.u[:, index]
