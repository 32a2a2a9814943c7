"""Other people's checkpoints: read without running their code, and matched to a backbone by its weights' names."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from skysift.encoders.pickles import SAVE, read_pickle, whole_objects
from skysift.errors import RequestError, SkysiftError

TEACHERS = ("momentum", "teacher", "ema", "target", "encoder_k", "optimizer", "state_dict_ema")
"""Words in the names of copies that a method keeps beside the network that learns."""


@dataclass(frozen=True)
class Report:
    """What became of a checkpoint's tensors.

    Attributes
    ----------
    prefix : str
        What stood before the backbone's names.
    layout : str
        `named` (as the backbone names its weights) or `numbered` (an `nn.Sequential` of its children, as lightly has).
    loaded : int
        Tensors that the backbone took.
    ignored : tuple of str
        Those that it did not: heads, teachers, optimisers.
    adapted : str
        What was changed on the way, empty if nothing.
    """

    prefix: str
    layout: str
    loaded: int
    ignored: tuple[str, ...]
    adapted: str


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read all tensors of a `.safetensors`, `.ckpt`, `.pth`, `.pt` or `.bin` file; names of nested ones are dotted.

    Nothing of the file is executed: see `read_pickle`.

    Raises
    ------
    SkysiftError
        If the file is damaged, of another kind, or holds no tensors.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise SkysiftError(f"{path}: not a safetensors file or damaged ({error}); fetch it anew.") from None
    content, foreign = read_pickle(path)
    tensors = dict(_flatten(content))
    if not tensors and foreign:
        raise SkysiftError(f"{path}: {whole_objects(foreign)}.")
    if not tensors:
        raise SkysiftError(f"{path}: no tensors in this file; {SAVE}.")
    return tensors


def match(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str | None = None) -> tuple[str, str]:
    """Find where in a checkpoint the backbone is.

    Parameters
    ----------
    module : nn.Module
        The backbone.
    tensors : mapping of str to Tensor
        As `read_tensors` gives them.
    prefix : str, optional
        What stands before the backbone's names; found by itself where not given.

    Returns
    -------
    tuple of str
        The prefix (with its dot) and the layout, `named` or `numbered`.

    Raises
    ------
    RequestError
        If no name fits.
    """
    layouts = {"named": {k: k for k in module.state_dict()}, "numbered": numbered(module)}
    best: tuple[tuple[int, bool, int], str, str] | None = None
    for layout, names in layouts.items():
        counts = Counter(key[: len(key) - len(tail)] for key in tensors for tail in _tails(key) if tail in names)
        for found, count in counts.items():
            if prefix is not None and found.rstrip(".") != prefix.rstrip("."):
                continue
            # the network that learned before its teacher, the shorter name before the longer
            rank = (count, not any(word in found for word in TEACHERS), -len(found))
            if best is None or rank > best[0]:
                best = (rank, found, layout)
    if best is None:
        where = "" if prefix is None else f" after {prefix!r}"
        raise RequestError(
            f"None of the checkpoint's {len(tensors)} tensors ({', '.join(list(tensors)[:3])} ...) has the name of a "
            f"weight of the backbone{where}: name the backbone that it was trained with."
        )
    return best[1], best[2]


def load_layout(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str | None = None) -> Report:
    """Load a checkpoint of timm, solo-learn, lightly, torchvision or a plain backbone into a timm backbone.

    Every weight of the backbone must be in the checkpoint; what else is there is reported. The first convolution is
    adapted where the number of channels differs.

    Raises
    ------
    RequestError
        If weights are missing or of another shape.
    """
    found, layout = match(module, tensors, prefix=prefix)
    inside = {k[len(found) :]: v for k, v in tensors.items() if k.startswith(found)}
    if layout == "numbered":
        names = numbered(module)
        inside = {names.get(k, k): v for k, v in inside.items()}
    own = module.state_dict()
    inside, adapted = _fit(module, inside, own)
    missing = [k for k in own if k not in inside and not k.endswith("num_batches_tracked")]
    wrong = [k for k in own if k in inside and inside[k].shape != own[k].shape]
    if missing or wrong:
        raise RequestError(_misfit(found, inside, own, missing, wrong))
    taken = {k: v for k, v in inside.items() if k in own}
    module.load_state_dict(taken, strict=False)
    ignored = tuple(
        sorted({k for k in tensors if not k.startswith(found)} | {found + k for k in inside if k not in own})
    )
    return Report(found.rstrip("."), layout, len(taken), ignored, adapted)


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Change the input channels of a convolution (O, I, h, w) so that a grey image gives the same response.

    With fewer channels the weights are added up in turn (to one channel: all of them); with more they are repeated in
    turn and shared out.
    """
    have = weight.shape[1]
    if channels <= have:
        folded = [weight[:, first::channels].sum(1) for first in range(channels)]
        return torch.stack(folded, 1)
    picked = torch.arange(channels) % have
    share = torch.bincount(picked, minlength=have)[picked].to(weight.dtype)
    return weight[:, picked] / share[:, None, None]


def first_convolution(module: nn.Module) -> str:
    """Return the name of the first convolution's weight; empty if there is none."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            return f"{name}.weight"
    return ""


def numbered(module: nn.Module) -> dict[str, str]:
    """Map names in an `nn.Sequential` of a backbone's children to the backbone's own."""
    names = {name: str(number) for number, (name, _) in enumerate(module.named_children())}
    own = (k for k in module.state_dict() if k.split(".")[0] in names)
    return {".".join([names[k.split(".")[0]], *k.split(".")[1:]]): k for k in own}


def summarise(names: tuple[str, ...], limit: int = 6) -> str:
    """Sum names up by what stands before their last two dots: `projector (8), fc (2)`."""
    groups = Counter(".".join(k.split(".")[:-1][:2]) or k for k in names)
    shown = [f"{k} ({n})" for k, n in groups.most_common(limit)]
    return ", ".join(shown) + (f" and {len(groups) - limit} more" if len(groups) > limit else "")


def _tails(key: str) -> Iterator[str]:
    """Yield what is left of a dotted name when its first parts are taken off, the whole first."""
    parts = key.split(".")
    for start in range(len(parts)):
        yield ".".join(parts[start:])


def _fit(module: nn.Module, inside: dict[str, Tensor], own: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Adapt the first convolution, and let timm translate names and positions where it can."""
    adapted = []
    first = first_convolution(module)
    if first in inside and inside[first].ndim == 4 and inside[first].shape[1] != own[first].shape[1]:
        adapted.append(f"{first} from {inside[first].shape[1]} to {own[first].shape[1]} channels")
        inside = {**inside, first: adapt_channels(inside[first], own[first].shape[1])}
    whole = all(k in inside and inside[k].shape == v.shape for k, v in own.items() if not _counter(k))
    translate = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if not whole and translate is not None:
        try:
            inside = dict(translate(dict(inside), module))
        except (KeyError, RuntimeError, AssertionError, ValueError, TypeError, AttributeError) as error:
            raise RequestError(
                f"timm can't translate this checkpoint for {type(module).__name__} ({type(error).__name__}: {error}): "
                "name the backbone and image size that it was trained with."
            ) from error
        adapted.append("translated by timm")
    return inside, "; ".join(adapted)


def _counter(name: str) -> bool:
    """Tell whether a buffer only counts batches; old checkpoints lack it and nothing reads it."""
    return name.endswith("num_batches_tracked")


def _misfit(
    prefix: str, inside: Mapping[str, Tensor], own: Mapping[str, Tensor], missing: list[str], wrong: list[str]
) -> str:
    shapes = [f"{k} is {tuple(inside[k].shape)} instead of {tuple(own[k].shape)}" for k in wrong[:2]]
    parts = [f"{len(missing)} weights are missing ({', '.join(missing[:3])})"] if missing else []
    parts += [f"{len(wrong)} have another shape ({'; '.join(shapes)})"] if wrong else []
    unknown = [k for k in inside if k not in own]
    parts += [f"{len(unknown)} are unknown to it ({', '.join(unknown[:3])})"] if unknown else []
    return (
        f"The checkpoint's weights{f' under {prefix!r}' if prefix else ''} don't fit the backbone: {', '.join(parts)}; "
        "name the backbone that it was trained with."
    )


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested mappings by dotted names."""
    if isinstance(value, Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str | int):
                yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))
