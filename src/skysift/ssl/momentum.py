"""Momentum teachers: exponential means of a student's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from skysift.ssl.network import Network


def move_towards(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Replace each weight t of the teacher by momentum t + (1 - momentum) s, all weights in one call.

    Parameters
    ----------
    teacher, student : nn.Module
        Of the same make.
    momentum : float
        Share of itself that the teacher keeps.

    Notes
    -----
    Buffers stay the teacher's own, as in lightly: it keeps its own running statistics of batch normalisation.
    """
    followers: list[Tensor] = list(teacher.parameters())
    leaders: list[Tensor] = list(student.parameters())
    if followers:
        with torch.no_grad():
            torch._foreach_lerp_(followers, leaders, 1 - momentum)


def move_teachers(network: Network, done: int, total: int, *, start: float, end: float) -> None:
    """Move each head `teacher_NAME` towards its student NAME: the head of that name, or the backbone.

    The momentum goes from `start` at the first step to `end` at the last on a half cosine (Grill et al. 2020,
    arXiv:2006.07733, section 3.2); `done` steps are counted from 1.
    """
    from skysift.encoders._torchvision import ensure

    ensure()
    from lightly.utils.scheduler import cosine_schedule

    momentum = cosine_schedule(done - 1, total, start, end)
    students = {"teacher_backbone": network.backbone}
    students |= {f"teacher_{name}": student for name, student in network.heads.items()}
    for name, teacher in network.heads.items():
        if name in students:
            move_towards(teacher, students[name], momentum)
