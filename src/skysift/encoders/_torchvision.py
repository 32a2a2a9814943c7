"""Make torchvision import beside a torch that its compiled operators do not fit.

The Linux wheel of torchvision on PyPI is linked against CUDA. Beside a CPU-only torch its library does not load, and
`import torchvision` (which timm and lightly need) ends in "operator torchvision::nms does not exist". `ensure` declares
the missing operators before the import and gives `nms` and `roi_align` in plain torch. Where the compiled ones load, it
does nothing.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
}
_lock = threading.RLock()
_library: torch.library.Library | None = None
_done = False


def ensure() -> None:
    """Make `import torchvision` work in this process; call it before timm, lightly or torchvision is imported.

    Cheap and harmless when called again, from any thread, and in worker processes. It does nothing where torchvision is
    not installed or its own compiled operators load.

    Raises
    ------
    ImportError
        If torchvision does not import for another reason than its operators.
    """
    global _done
    with _lock:
        if _done:
            return
        if _needed():
            _declare()
            _connect()
        _done = True


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    dets : Tensor
        (N, 4) boxes x1, y1, x2, y2 [pixel].
    scores : Tensor
        (N,); of equal scores the earlier box wins.
    iou_threshold : float
        A box goes when its intersection over union with a kept box of higher score exceeds this.

    Returns
    -------
    Tensor
        (K,) int64, the kept boxes in the order of falling score.

    Raises
    ------
    ValueError
        If the shapes don't fit.
    """
    if dets.ndim != 2 or dets.shape[1] != 4:
        raise ValueError(f"nms takes boxes of shape (N, 4), not {tuple(dets.shape)}")
    if scores.shape != dets.shape[:1]:
        raise ValueError(f"nms takes one score a box: {dets.shape[0]} boxes, scores of shape {tuple(scores.shape)}")
    # the greedy loop touches one row at a time: on the CPU, in NumPy, the overhead of a step is least
    order = torch.argsort(scores.detach(), descending=True, stable=True).cpu()
    boxes = dets.detach().cpu()
    boxes = (boxes if boxes.dtype == torch.float64 else boxes.float())[order]
    left, top, right, bottom = (column.numpy() for column in boxes.T.contiguous())
    area = (right - left) * (bottom - top)
    alive = torch.arange(len(order)).numpy()
    kept: list[int] = []
    while len(alive):
        first, rest = alive[0], alive[1:]
        kept.append(int(first))
        width = (right[rest].clip(max=right[first]) - left[rest].clip(min=left[first])).clip(min=0)
        height = (bottom[rest].clip(max=bottom[first]) - top[rest].clip(min=top[first])).clip(min=0)
        inter = width * height
        # inter / union > threshold, without dividing zero by zero for empty boxes
        alive = rest[~(inter > iou_threshold * (area[first] + area[rest] - inter))]
    return order[torch.tensor(kept, dtype=torch.int64)].to(dets.device)


def roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Average bilinear samples in each bin of each box (He et al. 2017, section 3), one `grid_sample` an image.

    Parameters
    ----------
    input : Tensor
        (N, C, H, W) feature maps. The result is differentiable with respect to them.
    rois : Tensor
        (K, 5): index of the map, then x1, y1, x2, y2 in the units that `spatial_scale` turns into pixels of the map.
    spatial_scale : float
        Pixels of the map per unit of the boxes.
    pooled_height, pooled_width : int
        Bins of the result.
    sampling_ratio : int
        Samples along each side of a bin; adaptive (about one a pixel of the map) where not positive.
    aligned : bool
        Pixel centres at half-integers (as in Detectron2); if not, the older convention, with boxes of at least 1 pixel.

    Returns
    -------
    Tensor
        (K, C, pooled_height, pooled_width), of the type of `input`.

    Raises
    ------
    ValueError
        If the shapes don't fit, or an index names no map.
    """
    if input.ndim != 4 or rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f"roi_align takes maps (N, C, H, W) and boxes (K, 5), not {input.shape} and {rois.shape}")
    kind = torch.float64 if input.dtype == torch.float64 else torch.float32
    boxes = rois.detach().to(kind)
    image = boxes[:, 0].long()
    if len(image) and (int(image.min()) < 0 or int(image.max()) >= input.shape[0]):
        raise ValueError(f"roi_align: a box names a map outside 0..{input.shape[0] - 1}")
    corners = boxes[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    start, size = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if not aligned:
        size = size.clamp(min=1.0)
    bins = size.new_tensor([pooled_width, pooled_height])
    samples = torch.full_like(size, sampling_ratio) if sampling_ratio > 0 else torch.ceil(size / bins)
    samples = samples.long().clamp(min=0)
    pieces: list[Tensor] = []
    places: list[Tensor] = []
    for index in torch.unique(image).tolist():
        groups = list(_groups(samples, torch.nonzero(image == index).flatten()))
        points = [_points(start[rows], size[rows] / bins, bins, grid) for rows, grid in groups]
        values = _sample(input[index].to(kind), torch.cat([xy.flatten(0, -2) for xy in points]))
        for (rows, _), xy, part in zip(
            groups, points, values.split([xy[..., 0].numel() for xy in points], 1), strict=True
        ):
            # (C, k, bins y, samples y, bins x, samples x): an empty box has no samples, and gives 0
            pooled = part.reshape(input.shape[1], *xy.shape[:-1]).sum((3, 5)) / max(xy.shape[2] * xy.shape[4], 1)
            pieces.append(pooled.transpose(0, 1))
            places.append(rows)
    if not pieces:
        return input.new_zeros((0, input.shape[1], pooled_height, pooled_width)) + 0 * input.sum()
    return torch.cat(pieces)[torch.argsort(torch.cat(places))].to(input.dtype)


def _groups(samples: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Split boxes by their number of samples a bin along x and y, so that each group is one array."""
    distinct, member = torch.unique(samples[rows], dim=0, return_inverse=True)
    for number, (nx, ny) in enumerate(distinct.tolist()):
        yield rows[member == number], (nx, ny)


def _points(start: Tensor, bin_size: Tensor, bins: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the places to sample as (k, bins y, ny, bins x, nx, 2) pixel coordinates x, y."""
    axes = []
    for axis in (0, 1):
        offset = torch.arange(int(bins[axis]), device=start.device, dtype=start.dtype)[:, None]
        inside = (torch.arange(grid[axis], device=start.device, dtype=start.dtype) + 0.5) / max(grid[axis], 1)
        axes.append(start[:, axis, None, None] + (offset + inside) * bin_size[:, axis, None, None])
    x, y = axes
    return torch.stack(torch.broadcast_tensors(x[:, None, None], y[:, :, :, None, None]), dim=-1)


def _sample(image: Tensor, points: Tensor) -> Tensor:
    """Sample one (C, H, W) map at (P, 2) pixel coordinates: (C, P), zero beyond one pixel outside the map."""
    size = points.new_tensor([image.shape[2], image.shape[1]])
    inside = ((points >= -1) & (points <= size)).all(1)
    grid = ((2 * points + 1) / size - 1).reshape(1, 1, -1, 2)
    sampled = torch.nn.functional.grid_sample(image[None], grid, "bilinear", padding_mode="border", align_corners=False)
    return sampled[0, :, 0] * inside


def _needed() -> bool:
    """Tell whether torchvision is installed without operators that load."""
    if hasattr(torch.ops.torchvision, "nms"):
        return False
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    folder = Path(next(iter(spec.submodule_search_locations)))
    loaders = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
    compiled = importlib.machinery.FileFinder(str(folder), loaders).find_spec("_C")
    if compiled is None or compiled.origin is None:
        return True
    try:
        torch.ops.load_library(compiled.origin)
    except (OSError, ImportError):
        return True
    return False


def _declare() -> None:
    """Declare the operators that torchvision expects, with ours behind them."""
    global _library
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS.values():
        library.define(schema)
    library.impl("nms", nms, "CompositeExplicitAutograd")
    library.impl("roi_align", roi_align, "CompositeImplicitAutograd")
    _library = library  # the operators live as long as this object


def _connect() -> None:
    """Import torchvision and tell the two modules with an operator of ours that it is there."""
    import torchvision.ops  # noqa: F401

    for name in ("torchvision.ops.boxes", "torchvision.ops.roi_align"):
        module: Any = sys.modules[name]
        module._assert_has_ops = _present
        if hasattr(module, "_has_ops"):
            module._has_ops = _present


def _present() -> bool:
    return True
