"""Which field each way to name an encoder fills."""

from pathlib import Path
from typing import Any

import pytest

from skysift.features import split_encoder
from skysift.features.stages import Features


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("timm:resnet18", ("timm:resnet18", None)),
        ("hf:facebook/dinov2-small", ("hf:facebook/dinov2-small", None)),
        ("/somewhere/model", ("/somewhere/model", None)),
        ("./model", ("./model", None)),
        ("3f2a", (None, "3f2a")),
        ("my-simclr", (None, "my-simclr")),
    ],
)
def test_split(spec: str, expected: tuple[str | None, str | None]) -> None:
    assert split_encoder(spec) == expected


def fields(**options: Any) -> dict[str, Any]:
    stage = Features(cutouts="0" * 32, **options)
    return {k: getattr(stage, k) for k in ("encoder", "model", "weights_from") if getattr(stage, k) is not None}


def test_stage_sorts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    assert fields() == {"encoder": "timm:resnet18"}
    assert fields(encoder="77aa") == {"encoder": "timm:resnet18", "model": "77aa"}
    assert fields(model="77aa") == {"encoder": "timm:resnet18", "model": "77aa"}
    assert fields(encoder=folder) == {"encoder": "folder", "weights_from": folder}
    assert fields(encoder=f"hf:{folder}") == {"encoder": "hf:local", "weights_from": folder}
    assert fields(encoder="timm:vit_tiny_patch16_224", weights_from="w.pth") == {
        "encoder": "timm:vit_tiny_patch16_224",
        "weights_from": "w.pth",
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert fields(encoder="here") == {"encoder": "folder", "weights_from": "here"}
    again = Features.model_validate(Features(cutouts="0" * 32, encoder="here").model_dump())
    assert again.encoder == "folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "77aa", "model": "88bb"}, "two encoders are named"),
        ({"encoder": "timm:resnet50", "model": "88bb"}, "two encoders are named"),
        ({"encoder": "/a", "weights_from": "/b"}, "two folders are named"),
        ({"encoder": "77aa", "preprocess": "minmax"}, "its own preprocessing"),
        ({"encoder": "/a", "image_size": 64}, "its own preprocessing"),
        ({"encoder": "folder"}, "needs weights_from"),
        ({"encoder": "hf:local"}, "needs weights_from"),
        ({"dtype": "float64"}, "float32"),
        ({"nonsense": 1}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Features(cutouts="0" * 32, **options)
