"""People's checkpoints: timm, solo-learn, lightly, torchvision, plain; unsafe and broken ones."""

import argparse
import collections
import pathlib
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skysift.encoders import load_encoder
from skysift.encoders._torchvision import ensure
from skysift.encoders.backbones import build_backbone
from skysift.encoders.layouts import adapt_channels, load_layout, read_tensors, summarise
from skysift.encoders.stages import ImportWeights
from skysift.errors import RequestError, SkysiftError
from skysift.store.store import Store


def torchvision_resnet18(seed: int = 0, channels: int = 3) -> nn.Module:
    ensure()
    from torchvision.models import resnet18

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = resnet18(weights=None)
        if channels != 3:
            model.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        for part in model.modules():  # statistics as after training, so that they matter
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
    return model.eval()


def pooled(model: nn.Module, images: Tensor) -> Tensor:
    children = list(model.children())[:-1]
    with torch.no_grad():
        return nn.Sequential(*children)(images).flatten(1)


def as_solo(model: nn.Module, seed: int = 1) -> dict[str, Any]:
    """solo-learn's Lightning checkpoint: backbone, its momentum copy, projector, classifier, options."""
    other = torchvision_resnet18(seed + 1)
    state = {f"backbone.{k}": v for k, v in model.state_dict().items() if not k.startswith("fc.")}
    state |= {f"momentum_backbone.{k}": v for k, v in other.state_dict().items() if not k.startswith("fc.")}
    state |= {"projector.0.weight": torch.zeros(8, 512), "classifier.weight": torch.zeros(10, 512)}
    return {"epoch": 3, "state_dict": state, "optimizer_states": [{"state": {0: {"step": torch.zeros(1)}}}]}


def as_lightly(model: nn.Module) -> dict[str, Any]:
    """lightly's examples: an nn.Sequential of the children without the head."""
    backbone = nn.Sequential(*list(model.children())[:-1])
    state = {f"backbone.{k}": v for k, v in backbone.state_dict().items()}
    state |= {f"backbone_momentum.{k}": v + 1 for k, v in backbone.state_dict().items()}
    return {"state_dict": {**state, "projection_head.layers.0.weight": torch.zeros(4, 512)}}


def as_moco(model: nn.Module) -> dict[str, Any]:
    """Facebook's MoCo under DistributedDataParallel."""
    state = {f"module.encoder_q.{k}": v for k, v in model.state_dict().items()}
    return {"arch": "resnet18", "state_dict": state | {k.replace("_q", "_k"): v * 0 for k, v in state.items()}}


def as_dino(model: nn.Module) -> dict[str, Any]:
    plain = {k: v for k, v in model.state_dict().items() if not k.startswith("fc.")}
    return {
        "student": {f"module.backbone.{k}": v for k, v in plain.items()},
        "teacher": {f"backbone.{k}": v * 2 for k, v in plain.items()},
        "epoch": 1,
    }


LAYOUTS = {
    "torchvision": (lambda m: m.state_dict(), "", "named", 2),
    "timm": (lambda m: {"state_dict": m.state_dict(), "args": argparse.Namespace(lr=0.1)}, "state_dict", "named", 2),
    "solo-learn": (as_solo, "state_dict.backbone", "named", 122),
    "lightly": (as_lightly, "state_dict.backbone", "numbered", 121),
    "moco": (as_moco, "state_dict.module.encoder_q", "named", 124),
    "dino": (as_dino, "student.module.backbone", "named", 120),
    "plain": (
        lambda m: {k: v for k, v in m.state_dict().items() if not k.startswith("fc.")},
        "",
        "named",
        0,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_give_the_features_of_the_original(name: str, tmp_path: Path) -> None:
    make, prefix, layout, ignored = LAYOUTS[name]
    original = torchvision_resnet18()
    torch.save(make(original), tmp_path / "w.ckpt")
    module = build_backbone("resnet18", seed=8)
    report = load_layout(module, read_tensors(tmp_path / "w.ckpt"))
    assert (report.prefix, report.layout) == (prefix, layout)
    assert len(report.ignored) == ignored
    assert report.loaded == 120
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(module.eval()(images), pooled(original, images), rtol=1e-4, atol=1e-5)


def test_the_teacher_on_request(tmp_path: Path) -> None:
    torch.save(as_dino(torchvision_resnet18()), tmp_path / "w.pth")
    module = build_backbone("resnet18")
    report = load_layout(module, read_tensors(tmp_path / "w.pth"), prefix="teacher.backbone")
    assert report.prefix == "teacher.backbone"
    torch.testing.assert_close(
        module.state_dict()["conv1.weight"], 2 * torchvision_resnet18().state_dict()["conv1.weight"]
    )
    with pytest.raises(RequestError, match="after 'nowhere'"):
        load_layout(module, read_tensors(tmp_path / "w.pth"), prefix="nowhere")


def test_old_checkpoints_without_batch_counters_and_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {k: v for k, v in torchvision_resnet18().state_dict().items() if "num_batches" not in k}
    save_file(state, tmp_path / "w.safetensors")
    assert load_layout(build_backbone("resnet18"), read_tensors(tmp_path / "w.safetensors")).loaded == 100


def test_vision_transformer_of_another_size_is_resampled_by_timm() -> None:
    small = build_backbone("test_vit", image_size=64, seed=1)
    large = build_backbone("test_vit", image_size=96, seed=2)
    report = load_layout(large, {f"module.{k}": v for k, v in small.state_dict().items()})
    assert report.adapted == "translated by timm"
    assert torch.equal(large.state_dict()["patch_embed.proj.weight"], small.state_dict()["patch_embed.proj.weight"])


@pytest.mark.parametrize(("have", "want"), [(3, 1), (1, 3), (3, 2), (3, 4), (3, 5), (2, 3), (3, 3), (6, 4)])
def test_adapted_channels_answer_a_grey_image_alike(have: int, want: int) -> None:
    weight = torch.randn(5, have, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grey = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = nn.functional.conv2d(grey.expand(-1, have, -1, -1), weight)
    adapted = adapt_channels(weight, want)
    assert adapted.shape == (5, want, 3, 3)
    torch.testing.assert_close(nn.functional.conv2d(grey.expand(-1, want, -1, -1), adapted), expected)


def test_what_does_not_fit_is_said_clearly() -> None:
    state = dict(torchvision_resnet18().state_dict())
    cut = {k: v for k, v in state.items() if not k.startswith("layer4")}
    with pytest.raises(RequestError, match=r"25 weights are missing \(layer4\.0\.conv1\.weight, .*2 are unknown to it"):
        load_layout(build_backbone("resnet18"), cut)
    with pytest.raises(RequestError, match=r"have another shape \(layer1\.0\.conv1\.weight is"):
        load_layout(build_backbone("resnet50"), state)
    cifar = {**state, "conv1.weight": torch.zeros(64, 3, 3, 3)}
    with pytest.raises(RequestError, match=r"conv1\.weight is \(64, 3, 3, 3\) instead of \(64, 3, 7, 7\)"):
        load_layout(build_backbone("resnet18"), cifar)
    with pytest.raises(RequestError, match="None of the checkpoint's 2 tensors"):
        load_layout(build_backbone("resnet18"), {"a": torch.zeros(1), "b": torch.zeros(1)})


def test_objects_of_other_packages_are_left_out_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What solo-learn and Lightning really save: OmegaConf options, callbacks, NumPy scalars, paths."""
    module = types.ModuleType("notinstalled.config")
    source = """
class Node:
    def __init__(self, content):
        self.content = content
    def __setstate__(self, state):
        raise RuntimeError('foreign code ran')
class Items(dict):
    def __reduce__(self):
        return (Items, (), None, None, iter(self.items()))
"""
    exec(source, module.__dict__)
    for name in ("Node", "Items"):
        getattr(module, name).__module__ = "notinstalled.config"
    monkeypatch.setitem(sys.modules, "notinstalled", types.ModuleType("notinstalled"))
    monkeypatch.setitem(sys.modules, "notinstalled.config", module)
    counts: Any = collections.defaultdict(list)
    counts["epoch"].append(1)
    content = {
        "state_dict": {"backbone.weight": torch.arange(6.0)},
        "hyper_parameters": module.Node({"lr": 0.3}),
        "callbacks": {"ModelCheckpoint": {"best": pathlib.PurePosixPath("/x"), "score": np.float64(0.7)}},
        "loops": counts,
        "more": module.Items(a=1),
        "args": argparse.Namespace(seed=1),
    }
    torch.save(content, tmp_path / "w.ckpt")
    monkeypatch.delitem(sys.modules, "notinstalled.config")
    monkeypatch.delitem(sys.modules, "notinstalled")
    allowed = set(torch.serialization.get_safe_globals())
    tensors = read_tensors(tmp_path / "w.ckpt")
    assert list(tensors) == ["state_dict.backbone.weight"]
    assert torch.equal(tensors["state_dict.backbone.weight"], torch.arange(6.0))
    assert set(torch.serialization.get_safe_globals()) == allowed


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('/tmp/skysift-evil', 'w').close()",))


class Worse:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return (os.system, ("touch /tmp/skysift-evil",))


@pytest.mark.parametrize("payload", [Evil, Worse])
def test_a_checkpoint_that_wants_to_run_code_does_not(payload: type, tmp_path: Path) -> None:
    trace = Path("/tmp/skysift-evil")
    trace.unlink(missing_ok=True)
    torch.save({"state_dict": {"w": torch.ones(2)}, "x": payload()}, tmp_path / "w.pth")
    if payload is Worse:  # torch refuses the modules os, sys and posix whatever stands in for them
        with pytest.raises(SkysiftError, match=r"Python objects \(posix.system\), which are not unpickled"):
            read_tensors(tmp_path / "w.pth")
    else:
        assert list(read_tensors(tmp_path / "w.pth")) == ["state_dict.w"]
    assert not trace.exists()


def test_whole_models_are_not_unpickled(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))
    torch.save(model, tmp_path / "whole.pt")
    torch.save({"model": model, "epoch": 3}, tmp_path / "inside.pt")
    torch.save(model, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("whole.pt", "inside.pt", "old.pt"):
        with pytest.raises(SkysiftError) as caught:
            read_tensors(tmp_path / name)
        assert f"{name}: the file holds a whole model or other Python objects (torch.nn.modules" in str(caught.value)
        assert "save `model.state_dict()` with torch.save" in str(caught.value)
        assert "weights_only" not in str(caught.value)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": 1}))
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    torch.save(torchvision_resnet18().state_dict(), tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:100_000])
    torch.jit.script(torch.nn.Conv2d(1, 2, 3)).save(str(tmp_path / "script.pt"))
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    (tmp_path / "stack.pth").write_bytes(b"e123")  # begins like an instruction to pop from an empty stack
    messages = {
        "empty.pth": "the file is empty",
        "text.pth": r"no checkpoint \(it begins with b'hello'\)",
        "page.pth": r"no checkpoint \(it begins with b'<html>",
        "stack.pth": "no checkpoint",
        "script.pt": r"TorchScript program.*save `model\.state_dict\(\)`",
        "text.safetensors": "not a safetensors file",
        "plain.pth": "which are not unpickled",
        "none.pth": r"no tensors.*save `model\.state_dict\(\)`",
        "cut.pth": "truncated or damaged",
    }
    for name, message in messages.items():
        with pytest.raises(SkysiftError, match=message) as caught:
            read_tensors(tmp_path / name)
        assert name in str(caught.value)


def test_checkpoints_of_old_torch(tmp_path: Path) -> None:
    """Before 1.6 a checkpoint was no zip archive."""
    torch.save({"state_dict": {"w": torch.ones(2)}}, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert list(read_tensors(tmp_path / "w.pth")) == ["state_dict.w"]


def test_summary_of_names() -> None:
    names = ("projector.0.weight", "projector.0.bias", "fc.weight", "queue")
    assert summarise(names) == "projector.0 (2), fc (1), queue (1)"
    assert summarise(tuple(f"{c}.w" for c in "abcdefgh"), limit=2) == "a (1), b (1) and 6 more"


def test_import_stage(tmp_path: Path) -> None:
    torch.save(as_solo(torchvision_resnet18(channels=1)), tmp_path / "solo.ckpt")
    store = Store(tmp_path / "store")
    made = store.run(ImportWeights(file=str(tmp_path / "solo.ckpt"), image_size=64, preprocess="minmax"))
    assert made.kind == "model"
    assert made.counts["loaded"] == 120
    assert made.counts["prefix"] == "state_dict.backbone"
    assert made.counts["left_out"].startswith("state_dict.momentum_backbone")
    encoder = load_encoder(made.id[:8], store=store)
    assert (encoder.channels, encoder.dim, encoder.image_size) == (1, 512, 64)
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = pooled(torchvision_resnet18(channels=1), images)
        torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-4, atol=1e-5)
    assert "momentum" in made.path("card.md").read_text()
    again = Store(tmp_path / "other").run(
        ImportWeights(file=str((tmp_path / "solo.ckpt").rename(tmp_path / "x.pt")), image_size=64, preprocess="minmax")
    )
    assert (again.id, again.digest()) == (made.id, made.digest())


def test_import_stage_adapts_channels_and_keeps_normalisation(tmp_path: Path) -> None:
    torch.save(torchvision_resnet18().state_dict(), tmp_path / "w.pth")
    stage = ImportWeights(file=str(tmp_path / "w.pth"), channels=1, mean=(0.4,), std=(0.2,), image_size=64)
    made = Store(tmp_path / "store").run(stage)
    assert made.counts["adapted"] == "conv1.weight from 3 to 1 channels"
    encoder = load_encoder(str(made.folder))
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = pooled(torchvision_resnet18(), ((images - 0.4) / 0.2).expand(-1, 3, -1, -1))
        torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-3, atol=1e-4)


def test_import_stage_with_the_normalisation_of_imagenet(tmp_path: Path) -> None:
    torch.save(torchvision_resnet18().state_dict(), tmp_path / "w.pth")
    stage = ImportWeights(file=str(tmp_path / "w.pth"), preprocess="imagenet", image_size=32)
    encoder = load_encoder(str(Store(tmp_path / "store").run(stage).folder))
    assert encoder.description.mean == (0.485, 0.456, 0.406)
    assert encoder.preprocess.mean is None


def test_import_stage_refuses(tmp_path: Path) -> None:
    torch.save(torchvision_resnet18().state_dict(), tmp_path / "w.pth")
    store = Store(tmp_path / "store")
    with pytest.raises(RequestError, match="mean and std have 2 numbers"):
        store.run(ImportWeights(file=str(tmp_path / "w.pth"), mean=(0.0, 0.0), std=(1.0, 1.0)))
    with pytest.raises(ValueError, match="mean and std go together"):
        ImportWeights(file="w.pth", mean=(0.1,))
    with pytest.raises(ValueError, match="std must be positive"):
        ImportWeights(file="w.pth", mean=(0.1,), std=(0.0,))
    with pytest.raises(RequestError, match="no such file"):
        store.run(ImportWeights(file=str(tmp_path / "missing.pth")))
