"""What every method of self-supervision has: options, heads, a loss step, and what follows a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, ParamSpec

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network

Arguments = ParamSpec("Arguments")


class Step(NamedTuple):
    """What one forward pass of a method gives."""

    loss: Tensor
    """Scalar, the mean over this process's share of the batch."""
    embeddings: Tensor
    """(B, D) pooled output of the backbone for one view of each image; what people will use."""
    projections: tuple[Tensor, Tensor]
    """Two tensors (B, d), d small: what the loss compares, for two views of the same images. When they are all alike,
    the network has collapsed; methods with prototypes give `collapse.expected_prototypes`."""


class Method(BaseModel, ABC):
    """Options of a method and the method itself; everything it learns lives in the modules that `build` returns.

    A method is one file: a subclass with a `name`, its options as fields, and the functions below. torch is
    imported inside them, so that the command line can show the options without it. State that a step changes
    (queues, centres, a momentum teacher) belongs in buffers or modules of `build`, where checkpoints find it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: ClassVar[int] = 2
    """How many augmented views of each image a step takes."""
    least_spread: ClassVar[float | None] = None
    """Spread of embeddings and projections below which a run has collapsed; by default `collapse.LEAST_STD`."""
    remedy: ClassVar[str | None] = None
    """What to try first when the loss is no longer a finite number, if the method has an option for it."""
    training: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options of `Train` (`optimizer`, `lr` ...) that suit the method where Train's own defaults do not."""

    @property
    def min_batch(self) -> int:
        """Fewest images in a batch, over all processes, for which the loss means anything."""
        return 2

    def prepare(self, backbone: nn.Module, *, fresh: bool) -> None:
        """Refuse a backbone that the method can't train; draw initial weights of its own where they are `fresh`.

        Called before any work, torch's generator seeded; by default every backbone is taken as it is.

        Raises
        ------
        RequestError
            If the method needs another kind of backbone.
        """

    @abstractmethod
    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:
        """Return the heads for a backbone of `dim` features; names that begin with `teacher` are not published."""

    @abstractmethod
    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of a batch; `views` are tensors (B, C, S, S), one for each view."""

    def after_backward(self, network: Network, done: int, total: int) -> None:
        """Change gradients before the `done`-th of `total` optimiser steps, counted from 1 (frozen prototypes)."""

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Follow the `done`-th of `total` optimiser steps, counted from 1 (momentum teachers)."""


def full_precision(loss: Callable[Arguments, Tensor]) -> Callable[Arguments, Tensor]:
    """Let a loss compute in its arguments' own precision, also where the network around it computes in bf16.

    Its first argument must be a tensor.
    """

    @wraps(loss)
    def outside_autocast(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Tensor:
        import torch

        first: Any = args[0]
        with torch.autocast(first.device.type, enabled=False):
            return loss(*args, **kwargs)

    return outside_autocast


def by_name(value: Any) -> Any:
    """Turn the bare name of a method into the method with its defaults; options without a name are SimCLR's."""
    if isinstance(value, str):
        return {"name": value}
    return {"name": "simclr", **value} if isinstance(value, dict) else value
