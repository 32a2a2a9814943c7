"""torch.compile, where it pays: on a GPU, which fuses what it would otherwise carry to its memory and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from skysift.errors import RequestError
from skysift.ssl.network import Network

Choice = Literal["auto", "always", "never"]


def compiles(choice: Choice, device: torch.device) -> tuple[bool, str | None]:
    """Return whether to compile for a device, and a warning where that was tried in vain.

    Parameters
    ----------
    choice : str
        `never`; `auto`: on a CUDA device that has a working compiler; `always`: there must be one.
    device : torch.device
        Where the network is.

    Raises
    ------
    RequestError
        If it must be and can't.
    """
    if choice == "never" or (choice == "auto" and device.type != "cuda"):
        return False, None
    try:
        torch.compile(_probe)(torch.zeros(8, device=device))
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        if choice == "always":
            raise RequestError(f"--compile always: torch.compile does not work here ({reason}); use auto") from error
        return False, f"torch.compile does not work here ({reason}): training runs without it, somewhat slower"
    return True, None


@contextmanager
def compiled(network: Network) -> Iterator[None]:
    """Run the backbones of a network, the momentum teacher's too, through compiled kernels meanwhile.

    Heads and losses stay as they are: they take little time and differ from method to method. Weights, names and
    what wraps the network (DDP) stay as well.
    """
    backbones = [network.backbone, *(head for head in network.heads.values() if type(head) is type(network.backbone))]
    for backbone in backbones:
        backbone.compile(dynamic=False)
    try:
        yield
    finally:
        for backbone in backbones:
            backbone._compiled_call_impl = None


@contextmanager
def fast_kernels(device: torch.device) -> Iterator[None]:
    """Let cuDNN try its convolutions once and take the fastest meanwhile; the shapes of a training never change."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _probe(values: torch.Tensor) -> torch.Tensor:
    return values.mul(2).add(1)
