"""When backbones are compiled, and that it changes nothing but rounding."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from skysift.errors import RequestError
from skysift.ssl import compiling
from skysift.ssl.compiling import compiled, compiles, fast_kernels

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def broken(function: Any) -> Any:
    raise RuntimeError("no compiler\nfound anywhere")


def test_auto_is_for_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken)
    assert compiles("never", CUDA) == (False, None)
    assert compiles("auto", CPU) == (False, None)
    works, warning = compiles("auto", CUDA)
    assert not works
    assert warning is not None
    assert "no compiler" in warning or "CUDA" in warning
    with pytest.raises(RequestError, match=r"--compile always: torch.compile does not work here \(no compiler\)"):
        compiles("always", CPU)


def test_where_a_probe_works_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: function)
    assert compiles("always", CPU) == (True, None)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(8))
    assert compiles("auto", CUDA) == (True, None)


def test_backbones_are_compiled_meanwhile_and_keep_their_names(
    toy: ModuleType, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: seen.append((self, options)))
    network = toy.make_run(pack, tmp_path, "byol").network
    names = set(network.state_dict())
    with compiled(network):
        assert [module for module, _ in seen] == [network.backbone, network.heads["teacher_backbone"]]
        assert set(network.state_dict()) == names
    assert all(options == {"dynamic": False} for _, options in seen)
    assert network.backbone._compiled_call_impl is None


def test_cudnn_tries_its_kernels_on_a_gpu_alone() -> None:
    before = torch.backends.cudnn.benchmark
    with fast_kernels(CPU):
        assert torch.backends.cudnn.benchmark == before
    with fast_kernels(CUDA):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark == before


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_run_learns_the_same(toy: ModuleType, pack: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "method": "byol"}
    plain = toy.fit(toy.make_run(pack, tmp_path / "plain", net=toy.backbone(dropout=0.0), **options))
    run = toy.make_run(pack, tmp_path / "fused", net=toy.backbone(dropout=0.0), compile_backbones=True, **options)
    fused = toy.fit(run)
    assert run.network.backbone._compiled_call_impl is None
    for one, two in zip(plain, fused, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
        assert two["rankme"] == pytest.approx(one["rankme"], rel=1e-2)
    assert compiling.compiles("always", CPU) == (True, None)
