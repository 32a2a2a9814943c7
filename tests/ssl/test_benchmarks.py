"""The benchmarks of training run, on whatever is here."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import bench_gpu, bench_train, record
from skysift.imaging import Augment, augment


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_quickly_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    figures = bench_gpu.main(quick=True, compile="never")
    assert len(figures["seconds_of_both_epochs"]) == 2
    steps = bench_gpu.QUICK.images // bench_gpu.QUICK.batch
    mean = sum(figures["seconds_of_both_epochs"]) / 2
    assert figures["images_per_second"] == pytest.approx(steps * bench_gpu.QUICK.batch / mean, rel=1e-2)
    assert figures["ratio_to_bare_step"] > 0
    assert figures["pack_on_device"]
    assert "seconds_per_epoch" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    assert bench_gpu.run([]) == 0
    assert capsys.readouterr().out == "There is no CUDA device here: not measured, nothing written.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_pipelines_of_peers_are_compared(tmp_path: Path) -> None:
    ratios = bench_train.against_peers(tmp_path, size=32, batch=8, steps=1)
    assert set(ratios) == {"over_lightly", "over_torchvision"}
    assert all(math.isfinite(ratio) and ratio > 0 for ratio in ratios.values())


def test_torchvisions_pipeline_does_what_hulk_does() -> None:
    """Alike in the mean and scatter of 300 views of one image, and in how much of them is black."""
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)).cumsum(2) / 16
    torch.manual_seed(0)
    pipeline = bench_train.Torchvision(image[None])
    views = torch.stack([view for _ in range(150) for view in pipeline[0]])
    many, valid = image.expand(300, 3, 16, 16).contiguous(), torch.ones(300, 1, 16, 16, dtype=torch.bool)
    ours = augment(many, valid, Augment.preset("hulk"), torch.arange(300))
    assert float(views.mean()) == pytest.approx(float(ours.mean()), abs=0.03)
    assert float(views.std()) == pytest.approx(float(ours.std()), abs=0.03)
    assert float((views == 0).double().mean()) == pytest.approx(float((ours == 0).double().mean()), abs=0.04)
