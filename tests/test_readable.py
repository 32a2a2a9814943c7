"""Sizes, times and measurements as people read them."""

from __future__ import annotations

import pytest

from skysift.readable import clock, measured, size, span


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1_234_000, "1.2 MB"), (5e9, "5.0 GB"), (3e15, "3000.0 TB")]
)
def test_size(number: float, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "2 h"), (86400, "24 h"), (3e6, "35 d")],
)
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3700, "1 h 01 min")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.84213, 0.0131, "0.842 ± 0.013"),
        (0.84213, 0.00131, "0.8421 ± 0.0013"),
        (0.84213, None, "0.842"),
        (0.84213, float("nan"), "0.842"),
        (None, None, "–"),
    ],
)
def test_measured(mean: float | None, error: float | None, text: str) -> None:
    assert measured(mean, error) == text
