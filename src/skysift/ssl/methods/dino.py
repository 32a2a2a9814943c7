"""DINO: match a slowly moving teacher's sharp and centred prototypes (Caron et al. 2021, arXiv:2104.14294)."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class DINO(Method):
    """Options of DINO without small crops; the defaults are solo-learn's, which Cecconello et al. 2024 used.

    The paper has 65,536 prototypes and momentum 0.996. Epochs of a run of 100 have become shares of the run.
    """

    name: Literal["dino"] = "dino"
    prototypes: int = Field(4096, ge=2, description="Number of clusters.")
    student_temperature: PositiveFloat = Field(0.1, description="Divides the student's scores.")
    teacher_temperature: PositiveFloat = Field(0.07, description="Divides the teacher's scores after the warm-up.")
    first_temperature: PositiveFloat = Field(0.04, description="The same at first.")
    temperature_warmup: float = Field(0.3, ge=0, le=1, description="Share of the run while it rises on a line.")
    center_momentum: float = Field(0.9, ge=0, le=1, description="Share of itself that the centre keeps in a step.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layers.")
    projection_dim: PositiveInt = Field(256, description="Width of projections and prototypes.")
    batch_norm: bool = Field(False, description="Batch normalisation in the projector.")
    freeze_prototypes: float = Field(0.01, ge=0, le=1, description="Share of the run while prototypes stay fixed.")
    momentum: float = Field(
        0.9995, ge=0, le=1, description="Share of itself that the teacher keeps in a step, at first."
    )
    final_momentum: float = Field(1.0, ge=0, le=1, description="The same at the end; a cosine leads there.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return projector with prototypes, and the teacher: copies that take no gradient, centre and temperature."""
        import torch
        from torch import nn

        projector, teacher = self._projector(dim), self._projector(dim)
        teacher.load_state_dict(projector.state_dict())
        heads = nn.ModuleDict(
            {
                "projector": projector,
                "teacher_backbone": copy.deepcopy(backbone).requires_grad_(False),
                "teacher_projector": teacher.requires_grad_(False),
            }
        )
        heads.register_buffer("teacher_center", torch.zeros(self.prototypes))
        heads.register_buffer("teacher_temperature", torch.tensor(self._temperature(0, 1)))
        return heads

    def _projector(self, dim: int) -> nn.Module:
        """Return lightly's head: three layers, unit vectors, and their cosines with the prototypes."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.modules.heads import DINOProjectionHead

        with warnings.catch_warnings():  # lightly's weight normalisation is torch's older one
            warnings.simplefilter("ignore", FutureWarning)
            head: nn.Module = DINOProjectionHead(
                dim, self.hidden_dim, self.projection_dim, self.prototypes, batch_norm=self.batch_norm
            )
        return head

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of the two views (B, C, S, S), which pass through each network together."""
        import torch

        from skysift.ssl.collapse import expected_prototypes

        heads = network.heads
        projector: Any = heads["projector"]
        images = torch.cat(views)
        embeddings = network.backbone(images)
        scores = projector(embeddings).float()
        with torch.no_grad():
            targets = heads["teacher_projector"](heads["teacher_backbone"](images)).float()
        center = heads.get_buffer("teacher_center")
        loss = self_distillation(
            scores, targets, center, heads.get_buffer("teacher_temperature"), self.student_temperature
        )
        move_center(center, targets, self.center_momentum)
        points = expected_prototypes(scores, projector.last_layer.weight.float(), self.student_temperature)
        first, second = points.chunk(2)
        return Step(loss, embeddings[: len(first)], (first, second))

    def after_backward(self, network: Network, done: int, total: int) -> None:
        """Keep the prototypes in place at first."""
        if done <= self.freeze_prototypes * total:
            projector: Any = network.heads["projector"]
            for weight in projector.last_layer.parameters():
                weight.grad = None

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Move the teacher's weights towards the student's, and its temperature to that of the next step."""
        from skysift.ssl.momentum import move_teachers

        move_teachers(network, done, total, start=self.momentum, end=self.final_momentum)
        network.heads.get_buffer("teacher_temperature").fill_(self._temperature(done, total))

    def _temperature(self, done: int, total: int) -> float:
        """Return the teacher's temperature after `done` of `total` steps."""
        warmup = self.temperature_warmup * total
        share = min(1.0, done / warmup) if warmup else 1.0
        return self.first_temperature + share * (self.teacher_temperature - self.first_temperature)


@full_precision
def self_distillation(
    scores: Tensor, targets: Tensor, center: Tensor, teacher_temperature: Tensor, student_temperature: float
) -> Tensor:
    """Return the cross entropy of the student's softmax of one view with the teacher's of the other (equation 3).

    It equals lightly's, which wants the temperature as a number of the host and moves the centre by itself.

    Parameters
    ----------
    scores, targets : Tensor
        (2 B, K) of student and teacher: those of the first view, then those of the second; the latter take no
        gradient.
    center : Tensor
        (K,), taken off the teacher's scores.
    teacher_temperature : Tensor
        Scalar.
    student_temperature : float
        Divides the student's scores.

    Returns
    -------
    Tensor
        Scalar, the mean over both pairings and this process's images.
    """
    import torch
    from torch.nn.functional import cross_entropy

    with torch.no_grad():
        wanted = ((targets - center) / teacher_temperature).softmax(dim=1)
        swapped = torch.cat(wanted.chunk(2)[::-1])
    return cross_entropy(scores / student_temperature, swapped)


def move_center(center: Tensor, targets: Tensor, momentum: float) -> None:
    """Move the centre (K,) to the mean of the teacher's scores (2 B, K) of all processes (equation 4)."""
    import torch

    from skysift.ssl.distributed import mean_over_processes

    with torch.no_grad():
        center.lerp_(mean_over_processes(targets.mean(dim=0)), 1 - momentum)
