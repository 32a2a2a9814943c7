"""A small training set and a small network for the tests of the loop; also a program that a test can kill."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from skysift.encoders import build_backbone
from skysift.ssl.checkpoint import Checkpoints
from skysift.ssl.fabric import make_fabric
from skysift.ssl.feed import Feed
from skysift.ssl.journal import Journal
from skysift.ssl.loop import Recipe, Run
from skysift.ssl.methods import (
    BYOL,
    DINO,
    MAE,
    NNCLR,
    WMSE,
    All4One,
    BarlowTwins,
    Method,
    MoCoV3,
    SimCLR,
    SimSiam,
    SwAV,
    VICReg,
)
from skysift.ssl.network import Network
from skysift.ssl.pack import Pack
from skysift.ssl.schedules import make_optimizer
from skysift.store.progress import Progress

SIZE = 24
METHODS: dict[str, Method] = {
    "simclr": SimCLR(hidden_dim=32, projection_dim=16),
    "byol": BYOL(hidden_dim=32, projection_dim=16),
    "nnclr": NNCLR(hidden_dim=32, predictor_dim=32, projection_dim=16, queue_size=64),
    "mocov3": MoCoV3(hidden_dim=32, projection_dim=16, momentum=0.9),
    "swav": SwAV(hidden_dim=32, projection_dim=16, prototypes=12, queue_size=40, freeze_prototypes=0.1),
    "dino": DINO(hidden_dim=32, projection_dim=16, prototypes=24, momentum=0.9, freeze_prototypes=0.1),
    "barlow": BarlowTwins(hidden_dim=32, projection_dim=16),
    "vicreg": VICReg(hidden_dim=32, projection_dim=16),
    "wmse": WMSE(hidden_dim=32, projection_dim=4, whitening_size=8),
    "all4one": All4One(hidden_dim=32, predictor_dim=32, projection_dim=16, queue_size=64, momentum=0.9),
    "mae": MAE(decoder_dim=32, decoder_depth=1, decoder_heads=2),
    "simsiam": SimSiam(hidden_dim=32, projection_dim=16, predictor_dim=8),
}
RECIPE = {"epochs": 4, "steps": 5, "batch_size": 16, "lr": 2e-3, "warmup_steps": 4, "seed": 5}


def make_pack(folder: Path, count: int = 90) -> Pack:
    """Blobs, rings and pairs with noise, float16 (N, 1, S, S)."""
    rng = np.random.Generator(np.random.PCG64(11))
    y, x = np.mgrid[:SIZE, :SIZE]
    images = np.empty((count, 1, SIZE, SIZE), np.float16)
    for number in range(count):
        cx, cy = rng.uniform(8, 16, 2)
        distance = np.hypot(x - cx, y - cy)
        shape = [
            np.exp(-(distance**2) / 6),
            np.exp(-((distance - 5) ** 2) / 3),
            np.exp(-(np.hypot(x - cx - 4, y - cy) ** 2) / 6) + np.exp(-(np.hypot(x - cx + 4, y - cy) ** 2) / 6),
        ][number % 3]
        images[number, 0] = np.clip(shape + rng.normal(0, 0.05, shape.shape), 0, 1)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images)
    np.save(folder / "valid.npy", np.ones((count, 1, SIZE, SIZE), bool))
    return Pack(folder)


def augment(images: Tensor, valid: Tensor, seeds: Tensor) -> Tensor:
    """Flip and scale each image by its own seed."""
    out = []
    for image, seed in zip(images, seeds.tolist(), strict=True):
        generator = torch.Generator().manual_seed(seed)
        flip, scale = torch.rand(2, generator=generator).tolist()
        out.append((image.flip(-1) if flip < 0.5 else image) * (0.7 + 0.6 * scale))
    return torch.stack(out)


def backbone(norm: bool = True, dropout: float = 0.1) -> nn.Module:
    """Three convolutions, 32 features."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for cin, cout in [(1, 8), (8, 16), (16, 32)]:
        layers += [nn.Conv2d(cin, cout, 3, 2, 1), nn.BatchNorm2d(cout) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))


def transformer() -> nn.Module:
    """Two layers over nine patches."""
    return build_backbone("test_vit", channels=1, image_size=SIZE, seed=0, arguments={"patch_size": 8, "depth": 2})


def make_run(pack: Pack, scratch: Path, method: str = "simclr", fabric: Fabric | None = None, **options: Any) -> Run:
    """Put a run together; `options` override the recipe or name `optimizer`, `should_stop`, `resident`, `net`."""
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    net = options.pop("net", None) or (transformer() if method == "mae" else backbone())
    network = Network(net, getattr(net, "num_features", 32), METHODS[method], seed=1).to(
        memory_format=torch.channels_last
    )
    optimizer = make_optimizer(network, options.pop("optimizer", "adam"), lr=1e-3, weight_decay=1e-6)
    return Run(
        fabric,
        network,
        optimizer,
        feed=Feed(pack, fabric.device, resident=options.pop("resident", None)),
        augment=options.pop("augment", augment),
        should_stop=options.pop("should_stop", lambda: False),
        compile_backbones=options.pop("compile_backbones", False),
        checkpoints=Checkpoints(scratch),
        recipe=Recipe(**{**RECIPE, **options}),
    )


def fit(run: Run) -> list[dict[str, float]]:
    """Train silently."""
    with Progress(quiet=True).bar(1, "train") as bar:
        return run.fit(Journal(bar, None))


def slowly(images: Tensor, valid: Tensor, seeds: Tensor) -> Tensor:
    """Augment with a pause, so that a test can kill in time."""
    time.sleep(0.15)
    return augment(images, valid, seeds)


if __name__ == "__main__":
    home, name = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    if name == "together":
        fabric = make_fabric("cpu", "32-true")
        fabric.launch()
        run = make_run(Pack(home / "pack"), home / "scratch", fabric=fabric, net=backbone(norm=False, dropout=0.0))
        fit(run)
    else:
        fit(make_run(make_pack(home / "pack"), home / "scratch", name, augment=slowly))
