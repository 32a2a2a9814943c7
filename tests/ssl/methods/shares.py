"""What each method computes from a share of a batch; also the program of one of several processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from skysift.ssl.methods import (
    BYOL,
    DINO,
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
from skysift.ssl.methods.all4one import decorrelation
from skysift.ssl.methods.barlow import cross_correlation
from skysift.ssl.methods.byol import regression
from skysift.ssl.methods.dino import move_center, self_distillation
from skysift.ssl.methods.mocov3 import contrast
from skysift.ssl.methods.nnclr import neighbour_loss
from skysift.ssl.methods.simclr import nt_xent
from skysift.ssl.methods.simsiam import dissimilarity
from skysift.ssl.methods.swav import swapped_prediction
from skysift.ssl.methods.vicreg import vicreg
from skysift.ssl.methods.wmse import whitened_distance
from skysift.ssl.network import Network
from skysift.ssl.queue import Queue

BATCH, DIM, STEPS = 24, 6, 4

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Projections (B, DIM) of two views, and prototypes (8, DIM) that the method may use, to the loss."""


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def queue(size: int = 30) -> Queue:
    made = Queue(size, DIM)
    made.rows.copy_(normalize(random(9, size, DIM), dim=1))
    return made


def nnclr(first: Tensor, second: Tensor, _: Tensor) -> Tensor:
    """Two rounds: the second finds its neighbours among what the first has left in the queue."""
    memory, losses = queue(), []
    for one, two in ((first, second), (second, first)):
        losses.append(neighbour_loss(memory.nearest(one)[:, 0], two, 0.2))
        memory.push(one)
    return sum(losses, torch.zeros(()))


def swav(first: Tensor, second: Tensor, prototypes: Tensor) -> Tensor:
    """Two rounds: the second assigns the images that the first has left in the queues, too."""
    queues, losses = [Queue(40, DIM) for _ in range(2)], []
    for made in queues:
        made.rows.zero_()
    for one, two in ((first, second), (second, first)):
        both = normalize(torch.cat([one, two]), dim=1)
        earlier = torch.stack([made.rows for made in queues])
        losses.append(
            swapped_prediction(both, prototypes, earlier, torch.ones(()), temperature=0.1, epsilon=0.05, iterations=3)
        )
        for made, rows in zip(queues, both.chunk(2), strict=True):
            made.push(rows)
    return sum(losses, torch.zeros(()))


def dino(first: Tensor, second: Tensor, prototypes: Tensor) -> Tensor:
    """Two rounds: the second takes off the centre that the first has left."""
    center, losses = torch.zeros(len(prototypes)), []
    for scale in (1.0, 1.7):
        scores = torch.cat([first, second]) @ prototypes.T
        targets = (scale * scores + 0.5).detach()
        losses.append(self_distillation(scores, targets, center, torch.tensor(0.07), 0.1))
        move_center(center, targets, 0.5)
    return sum(losses, torch.zeros(()))


LOSSES: dict[str, Loss] = {
    "simclr": lambda one, two, _: nt_xent(one, two, 0.2),
    "byol": lambda one, two, _: regression(one, two.detach()) + regression(two, one.detach()),
    "all4one": lambda one, two, _: decorrelation([one.detach(), two.detach()], [two, one]),
    "nnclr": nnclr,
    "mocov3": lambda one, two, _: contrast(one, two.detach(), 0.2) + contrast(two, one.detach(), 0.2),
    "swav": swav,
    "dino": dino,
    "barlow": lambda one, two, _: cross_correlation(one, two, 0.01),
    "vicreg": lambda one, two, _: vicreg(one, two, invariance=25.0, variance=25.0, covariance=1.0),
    "wmse": lambda one, two, _: whitened_distance(one, two, size=8, whitenings=2),
    "simsiam": lambda one, two, _: dissimilarity(one, two) + dissimilarity(two, one),
}

METHODS: list[Method] = [
    SimCLR(hidden_dim=16, projection_dim=8),
    BYOL(hidden_dim=16, projection_dim=8, momentum=0.9),
    All4One(hidden_dim=16, predictor_dim=16, projection_dim=16, queue_size=60, dropout=0.0),
    NNCLR(hidden_dim=16, predictor_dim=16, projection_dim=8, queue_size=60),
    MoCoV3(hidden_dim=16, projection_dim=8, momentum=0.9),
    SwAV(hidden_dim=16, projection_dim=8, prototypes=10, queue_size=60, queue_start=0.5, freeze_prototypes=0.25),
    DINO(hidden_dim=16, projection_dim=8, prototypes=10, momentum=0.9, freeze_prototypes=0.25),
    BarlowTwins(hidden_dim=16, projection_dim=8),
    VICReg(hidden_dim=16, projection_dim=8),
    WMSE(hidden_dim=16, projection_dim=3, whitening_size=8),
    SimSiam(hidden_dim=16, projection_dim=8, predictor_dim=4),
]


def losses_and_gradients(share: slice) -> dict[str, Tensor]:
    """Return `NAME.loss`, `NAME.rows` (2, B, DIM) and `NAME.prototypes` from this process's share of the batch."""
    found = {}
    for name, compute in LOSSES.items():
        first = random(1, BATCH, DIM)[share].clone().requires_grad_()
        second = (random(1, BATCH, DIM) + 0.5 * random(2, BATCH, DIM))[share].clone().requires_grad_()
        prototypes = normalize(random(3, 8, DIM), dim=1).requires_grad_()
        loss = compute(first, second, prototypes)
        loss.backward()
        assert first.grad is not None
        assert second.grad is not None
        found[f"{name}.loss"] = loss.detach()
        found[f"{name}.rows"] = torch.stack([first.grad, second.grad])
        if prototypes.grad is not None:
            found[f"{name}.prototypes"] = prototypes.grad
    return found


def without_norm(module: nn.Module) -> None:
    """Take batch normalisation, whose statistics are each process's own, out of a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d):
            setattr(module, name, nn.Identity())
        without_norm(child)


def trained(method: Method, share: slice) -> dict[str, Tensor]:
    """Return losses and all weights and buffers after a few steps, with a network that has no normalisation."""
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(1, 6, 3, 2, 1), nn.GELU(), nn.Conv2d(6, 12, 3, 2, 1), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    network = Network(backbone, 48, method, seed=1)
    without_norm(network.heads)
    model: nn.Module = DistributedDataParallel(network) if dist.is_initialized() else network
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer, losses = torch.optim.SGD(weights, lr=0.02), []
    for step in range(1, STEPS + 1):
        images = random(step, BATCH, 1, 12, 12)
        views = [images[share], (images + 0.3 * random(50 + step, BATCH, 1, 12, 12))[share]]
        optimizer.zero_grad()
        loss = model(views).loss
        loss.backward()
        method.after_backward(network, step, STEPS)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        method.after_step(network, step, STEPS)
        losses.append(loss.detach())
    return {"losses": torch.stack(losses), **network.state_dict()}


def everything(share: slice) -> dict[str, Tensor]:
    """Return both, for every method."""
    found = {f"given.{name}": value for name, value in losses_and_gradients(share).items()}
    for method in METHODS:
        after = trained(method, share)
        found |= {f"trained.{method.name}.{name}": value for name, value in after.items()}  # type: ignore[attr-defined]
    return found


if __name__ == "__main__":
    from tests.ssl.processes import member

    member(Path(sys.argv[1]), lambda rank: everything(slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)))
