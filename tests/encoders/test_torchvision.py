"""`nms` and `roi_align` against written-out references, and the libraries that need them."""

import math
import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor

from skysift.encoders import _torchvision
from skysift.encoders._torchvision import ensure, nms, roi_align


def slow_nms(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Pairwise intersection over union, box by box."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda k: (-float(scores[k]), k)):
        a = [float(v) for v in boxes[i]]
        for j in kept:
            b = [float(v) for v in boxes[j]]
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
            if union > 0 and width * height / union > threshold:
                break
        else:
            kept.append(i)
    return kept


def slow_bilinear(plane: Tensor, y: float, x: float) -> float:
    """torchvision's rule: zero beyond one pixel outside, the edge's value within it."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    fy, fx = y - y0, x - x0
    top = float(plane[y0, x0]) * (1 - fx) + float(plane[y0, x1]) * fx
    bottom = float(plane[y1, x0]) * (1 - fx) + float(plane[y1, x1]) * fx
    return top * (1 - fy) + bottom * fy


def slow_roi_align(maps: Tensor, rois: Tensor, scale: float, ph: int, pw: int, ratio: int, aligned: bool) -> Tensor:
    """Loops over boxes, channels, bins and samples."""
    result = torch.zeros(len(rois), maps.shape[1], ph, pw, dtype=torch.float64)
    offset = 0.5 if aligned else 0.0
    for k, roi in enumerate(rois.double()):
        x1, y1, x2, y2 = (float(v) * scale - offset for v in roi[1:])
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        ny = ratio if ratio > 0 else math.ceil(height / ph)
        nx = ratio if ratio > 0 else math.ceil(width / pw)
        for c in range(maps.shape[1]):
            for i in range(ph):
                for j in range(pw):
                    values = [
                        slow_bilinear(
                            maps[int(roi[0]), c],
                            y1 + (i + (a + 0.5) / ny) * height / ph,
                            x1 + (j + (b + 0.5) / nx) * width / pw,
                        )
                        for a in range(ny)
                        for b in range(nx)
                    ]
                    result[k, c, i, j] = sum(values) / max(len(values), 1)
    return result


def boxes_of(seed: int, count: int, side: float) -> Tensor:
    """Boxes with corners in order; some hang over the edge."""
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=draw) * side * 1.2 - 0.15 * side
    size = torch.rand(count, 2, generator=draw) ** 2 * side
    return torch.cat([corner, corner + size], 1)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nms_equals_the_pairwise_rule(threshold: float, seed: int) -> None:
    boxes = boxes_of(seed, 150, 60.0)
    scores = torch.rand(150, generator=torch.Generator().manual_seed(seed)).round(decimals=1)  # with ties
    assert nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)
    assert nms(boxes.double(), scores.double(), threshold).tolist() == slow_nms(boxes.double(), scores, threshold)


def test_nms_of_none_one_equal_and_empty_boxes() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    assert nms(torch.tensor([[0.0, 0, 2, 2]]), torch.ones(1), 0.5).tolist() == [0]
    same = torch.tensor([[0.0, 0, 2, 2]] * 3)
    assert nms(same, torch.tensor([0.2, 0.9, 0.9]), 0.5).tolist() == [1]
    points = torch.tensor([[1.0, 1, 1, 1]] * 2)  # no area: the ratio is undefined, nothing is suppressed
    assert nms(points, torch.tensor([0.5, 0.6]), 0.5).tolist() == [1, 0]


def test_nms_refuses_wrong_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        nms(torch.zeros(3, 5), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match="one score a box"):
        nms(torch.zeros(3, 4), torch.zeros(2), 0.5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 3, 0, -1])
def test_roi_align_equals_the_loops(ratio: int, aligned: bool) -> None:
    draw = torch.Generator().manual_seed(5)
    maps = torch.randn(3, 2, 13, 17, generator=draw, dtype=torch.float64)
    boxes = boxes_of(7, 24, 60.0).double()
    rois = torch.cat([torch.tensor([0.0, 2.0] * 12, dtype=torch.float64)[:, None], boxes], 1)  # map 1 has none
    got = roi_align(maps, rois, 0.25, 3, 4, ratio, aligned)
    torch.testing.assert_close(got, slow_roi_align(maps, rois, 0.25, 3, 4, ratio, aligned), rtol=0, atol=1e-12)
    single = roi_align(maps.float(), rois.float(), 0.25, 3, 4, ratio, aligned)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), got, rtol=0, atol=2e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("box", [(3, 3, 3, 3), (3, 3, 3.2, 9), (-30, -30, -20, -20), (0, 0, 80, 80), (5, 6, 2, 4)])
@pytest.mark.parametrize("shape", [(1, 1), (8, 5)])
def test_roi_align_of_odd_boxes(box: tuple[float, ...], shape: tuple[int, int], aligned: bool) -> None:
    maps = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rois = torch.tensor([[0.0, *box]], dtype=torch.float64)
    for ratio in (2, -1):
        expected = slow_roi_align(maps, rois, 1.0, 2, 2, ratio, aligned)
        torch.testing.assert_close(roi_align(maps, rois, 1.0, 2, 2, ratio, aligned), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ratio", [2, -1])
def test_roi_align_gradient(ratio: int) -> None:
    maps = torch.randn(2, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.7, 1.1, 4.3, 5.2], [1, -2.0, 0.3, 3.1, 2.2], [1, 2.0, 2.0, 9.0, 8.5]]).double()
    assert torch.autograd.gradcheck(lambda m: roi_align(m, rois, 1.0, 2, 3, ratio, True), (maps,))


def test_roi_align_without_boxes_and_with_wrong_ones() -> None:
    maps = torch.randn(1, 3, 4, 4, requires_grad=True)
    empty = roi_align(maps, torch.zeros(0, 5), 1.0, 2, 2, 2, False)
    assert empty.shape == (0, 3, 2, 2)
    empty.sum().backward()
    assert maps.grad is not None
    assert maps.grad.abs().max() == 0
    with pytest.raises(ValueError, match="names a map outside"):
        roi_align(maps, torch.tensor([[1.0, 0, 0, 2, 2]]), 1.0, 2, 2, 2, False)
    with pytest.raises(ValueError, match=r"\(K, 5\)"):
        roi_align(maps, torch.zeros(2, 4), 1.0, 2, 2, 2, False)


def test_torchvision_gives_the_same_through_its_own_functions() -> None:
    ensure()
    from torchvision.ops import batched_nms
    from torchvision.ops import nms as public_nms
    from torchvision.ops import roi_align as public_roi_align

    boxes, scores = boxes_of(3, 80, 40.0), torch.rand(80, generator=torch.Generator().manual_seed(3))
    assert public_nms(boxes, scores, 0.4).tolist() == slow_nms(boxes, scores, 0.4)
    groups = torch.arange(80) % 3
    kept = batched_nms(boxes, scores, groups, 0.4)
    parts = [torch.nonzero(groups == g).flatten() for g in range(3)]
    expected = {int(rows[i]) for rows in parts for i in slow_nms(boxes[rows], scores[rows], 0.4)}
    assert set(kept.tolist()) == expected
    maps = torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(4))
    got = public_roi_align(maps, [boxes[:4], boxes[4:9]], 3, spatial_scale=0.25, sampling_ratio=2, aligned=True)
    rois = torch.cat([torch.tensor([0.0] * 4 + [1.0] * 5)[:, None], boxes[:9]], 1)
    torch.testing.assert_close(got.double(), slow_roi_align(maps, rois, 0.25, 3, 3, 2, True), rtol=0, atol=1e-5)


def test_ensure_is_idempotent_and_safe_among_threads() -> None:
    ensure()
    library = _torchvision._library
    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _torchvision._library is library


def test_ensure_leaves_compiled_operators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library loads, nothing is declared."""
    monkeypatch.setattr(_torchvision, "_done", False)
    monkeypatch.setattr(_torchvision.torch.ops, "load_library", lambda path: None)
    monkeypatch.setattr(_torchvision, "_declare", lambda: pytest.fail("declared over the compiled operators"))
    monkeypatch.setattr(_torchvision, "_connect", lambda: pytest.fail("patched a working torchvision"))
    ensure()


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_libraries_import_after_it_in_fresh_and_spawned_processes() -> None:
    code = """
import multiprocessing, sys
from skysift.encoders._torchvision import ensure
def work(_):
    ensure()
    import torchvision.ops, torch
    return torchvision.ops.nms(torch.tensor([[0.,0,2,2],[0,0,2,2]]), torch.tensor([.1,.9]), .5).tolist()
if __name__ == "__main__":
    ensure()
    import timm, lightly.loss, lightly.models, torchvision.transforms.v2, transformers
    from transformers import CLIPVisionModel
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(2)))
"""
    assert run(code).strip() == "[[1], [1]]"


@pytest.mark.slow
def test_ensure_mends_an_import_that_failed_before() -> None:
    code = """
try:
    import torchvision
except RuntimeError:
    pass
from skysift.encoders import ensure
ensure()
import torchvision, timm
print(torchvision.ops.nms.__name__)
"""
    assert run(code).strip() == "nms"


@pytest.mark.slow
def test_mask_rcnn_runs_and_learns() -> None:
    ensure()
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.mask_rcnn import MaskRCNN

    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
        model = MaskRCNN(backbone, num_classes=3, min_size=64, max_size=64)
        model.eval()
        with torch.no_grad():
            found = model([torch.rand(3, 64, 64)])[0]
        assert found["masks"].shape == (len(found["boxes"]), 1, 64, 64)
        model.train()
        target = {
            "boxes": torch.tensor([[8.0, 8, 40, 48]]),
            "labels": torch.tensor([1]),
            "masks": torch.ones(1, 64, 64, dtype=torch.uint8),
        }
        losses = model([torch.rand(3, 64, 64)], [target])
        sum(losses.values()).backward()
    gradient = model.backbone.body.conv1.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0
