"""Random numbers that depend on a sample's seed alone: a counter through a hash, the same on every device."""

from __future__ import annotations

import torch
from torch import Tensor

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
