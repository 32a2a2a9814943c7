"""The four numbers against their definitions, and the watch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from skysift.errors import SkysiftError
from skysift.ssl import collapse


def cloud(rows: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


def test_std_is_one_for_an_isotropic_cloud_and_zero_for_one_vector() -> None:
    assert collapse.embedding_std(cloud(4000, 64)).item() == pytest.approx(1.0, abs=0.02)
    assert collapse.embedding_std(cloud(1, 64).expand(100, 64)).item() == pytest.approx(0.0, abs=1e-6)
    rows = cloud(50, 8).numpy().astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    expected = rows.std(axis=0, ddof=1).mean() * math.sqrt(8)
    assert collapse.embedding_std(cloud(50, 8)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rankme_counts_equal_directions(rank: int) -> None:
    rows = torch.eye(8)[:rank].repeat(5, 1)
    assert collapse.rankme(rows).item() == pytest.approx(rank, rel=1e-4)


def test_rankme_equals_the_metrics_package() -> None:
    from skysift.metrics.embedding import rankme

    rows = cloud(200, 32) * torch.linspace(1, 0.01, 32)
    assert collapse.rankme(rows).item() == pytest.approx(rankme(rows.double().numpy()), rel=1e-4)


def test_alignment_and_uniformity_are_the_written_out_means() -> None:
    first, second = cloud(20, 6), cloud(20, 6, seed=1)
    one = (first / first.norm(dim=1, keepdim=True)).double().numpy()
    two = (second / second.norm(dim=1, keepdim=True)).double().numpy()
    expected = np.mean([np.sum((a - b) ** 2) for a, b in zip(one, two, strict=True)])
    assert collapse.alignment(first, second).item() == pytest.approx(expected, rel=1e-5)
    pairs = [np.exp(-2 * np.sum((one[i] - one[j]) ** 2)) for i in range(20) for j in range(i)]
    assert collapse.uniformity(first).item() == pytest.approx(math.log(np.mean(pairs)), rel=1e-5)
    assert collapse.alignment(first, first).item() == 0
    assert collapse.uniformity(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-6)


def test_watch_ends_a_run_after_several_looks_in_a_row() -> None:
    watch = collapse.CollapseWatch()
    for step in range(collapse.PATIENCE - 1):
        watch.look(0.5, 1e-4, step)
    watch.look(0.5, 0.5, 10)
    for step in range(collapse.PATIENCE - 1):
        watch.look(1e-4, 0.5, step)
    with pytest.raises(SkysiftError, match="collapsed at step 99"):
        watch.look(1e-4, 0.5, 99)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_a_run(loss: float) -> None:
    collapse.check_loss(-3.5, 1)
    with pytest.raises(SkysiftError, match="step 12; lower the learning rate"):
        collapse.check_loss(loss, 12)
    with pytest.raises(SkysiftError, match="step 12; give it air, lower the learning rate"):
        collapse.check_loss(loss, 12, "give it air")
