"""Encoders by name: timm, transformers, folders, and what is said where they can't be had."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skysift.encoders import hub, load_encoder, save_encoder
from skysift.encoders._torchvision import ensure
from skysift.encoders.backbones import build_backbone
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError, SkysiftWarning
from skysift.imaging import Preprocess

HubFolder = Callable[[str], Path]


def images(channels: int, side: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(
    ("name", "grid"),
    [("test_resnet", 2), ("test_vit", 4), ("test_convnext", 2), ("test_efficientnet", 2), ("test_maxvit", 2)],
)
def test_timm_features_are_the_models_own(name: str, grid: int) -> None:
    encoder = load_encoder(f"timm:{name}", weights="random", seed=4, image_size=64)
    x = images(3, 64)
    mean, std = encoder.description.mean, encoder.description.std
    assert mean is not None
    assert std is not None
    normalised = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(encoder.encode(x), encoder.module(normalised))
        dense = encoder.encode_dense(x)
        own = encoder.module.forward_features(normalised)
    assert encoder.encode(x).shape == (2, encoder.dim)
    assert dense.shape[2:] == (grid, grid)
    if own.ndim == 3:  # patch (row 1, column 2) of the second image, behind the class token
        torch.testing.assert_close(dense[1, :, 1, 2], own[1, encoder.module.num_prefix_tokens + grid + 2])
    assert encoder.preprocess.channels == 3
    assert encoder.preprocess.size == 64


def test_swin_keeps_its_channels_last() -> None:
    encoder = Encoder.of_backbone(
        build_backbone("swin_tiny_patch4_window7_224", image_size=64, arguments={"depths": (1, 1, 1, 1)}).eval(),
        "swin_tiny_patch4_window7_224",
        Preprocess.preset("minmax", size=64, channels=3),
        arguments={"depths": (1, 1, 1, 1)},
    )
    with torch.no_grad():
        dense = encoder.encode_dense(images(3, 64))
    assert dense.shape == (2, 768, 2, 2)
    torch.testing.assert_close(dense.mean((2, 3)), encoder.encode(images(3, 64)).detach())


def test_random_weights_depend_on_the_seed_alone() -> None:
    state = torch.random.get_rng_state()
    first = load_encoder("timm:test_resnet", weights="random", seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    assert load_encoder("timm:test_resnet", weights="random", seed=1).digest() == first.digest()
    assert load_encoder("timm:test_resnet", weights="random", seed=2).digest() != first.digest()


def test_random_weights_do_not_depend_on_other_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        digests = list(
            pool.map(lambda s: load_encoder("timm:test_resnet", weights="random", seed=s).digest(), [1, 2] * 6)
        )
    assert digests[0] != digests[1]
    assert set(digests[::2]) == {digests[0]}
    assert set(digests[1::2]) == {digests[1]}
    assert digests[0] == load_encoder("timm:test_resnet", weights="random", seed=1).digest()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels_as_asked(channels: int) -> None:
    encoder = load_encoder("timm:test_resnet", weights="random", channels=channels, image_size=32)
    assert encoder.encode(images(channels, 32)).shape == (2, encoder.dim)
    assert len(encoder.description.mean or ()) == channels
    with pytest.raises(ValueError, match="takes images"):
        encoder.encode(images(channels + 1, 32))


def test_presets_do_not_normalise_twice() -> None:
    """`imagenet` has a mean and a scatter of its own; the encoder's are the ones that count."""
    encoder = load_encoder("timm:test_resnet", weights="random", preprocess="imagenet")
    assert encoder.preprocess.mean is None
    assert encoder.description.mean == (0.5, 0.5, 0.5)
    with pytest.raises(RequestError, match="no preprocessing 'nothing'"):
        load_encoder("timm:test_resnet", weights="random", preprocess="nothing")
    with pytest.raises(RequestError, match=r"channels: .*less than or equal to 3"):
        load_encoder("timm:test_resnet", weights="random", channels=4)


def test_pretrained_timm_from_a_local_file(tmp_path: Path) -> None:
    ensure()
    import timm

    whole = timm.create_model("test_vit", num_classes=7)
    torch.save({"state_dict": whole.state_dict(), "arch": "test_vit"}, tmp_path / "w.pth")
    encoder = load_encoder("timm:test_vit", weights_from=tmp_path / "w.pth")
    torch.testing.assert_close(encoder.module.state_dict()["norm.weight"], whole.state_dict()["norm.weight"])
    smaller = load_encoder("timm:test_vit", weights_from=tmp_path / "w.pth", image_size=96)
    assert smaller.module.state_dict()["pos_embed"].shape[1] == 1 + 36  # positions resampled from 10 x 10


def test_pretrained_timm_from_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure()
    import timm
    from huggingface_hub import constants
    from safetensors.torch import save_file

    whole = timm.create_model("test_resnet", num_classes=1000)
    cache(tmp_path, "timm/test_resnet.r160_in1k")
    save_file(whole.state_dict(), snapshot(tmp_path, "timm/test_resnet.r160_in1k") / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    encoder = load_encoder("timm:test_resnet")
    x = images(3, 160, 1)
    with torch.no_grad():
        expected = whole.eval().forward_head(whole.forward_features((x - 0.5) / 0.5), pre_logits=True)
        torch.testing.assert_close(encoder.encode(x), expected)
    assert encoder.description.origin["weights"] == "timm:test_resnet.r160_in1k"
    grey = load_encoder("timm:test_resnet", channels=1)
    first = next(k for k, v in whole.state_dict().items() if v.ndim == 4)
    torch.testing.assert_close(grey.module.state_dict()[first], whole.state_dict()[first].sum(1, keepdim=True))


def cache(root: Path, repository: str) -> None:
    """Lay out the hub's cache of one repository."""
    home = root / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    snapshot(root, repository).mkdir(parents=True)


def snapshot(root: Path, repository: str) -> Path:
    return root / f"models--{repository.replace('/', '--')}" / "snapshots" / "abc"


def library_outputs(folder: Path, image: np.ndarray) -> tuple[Any, Any]:
    """Run transformers' own processor and model on one picture (H, W, 3) of bytes of the model's own size."""
    ensure()
    import transformers

    from skysift.encoders.transformer import quiet

    with quiet(transformers), torch.no_grad():
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder).eval()
        inputs = processor(images=image, return_tensors="pt", do_resize=False, do_center_crop=False)
        if model.config.model_type == "vit_mae":
            model.config.mask_ratio = 0.0
            inputs["noise"] = torch.arange(16.0)[None]
        tower = getattr(model, "vision_model", model)
        features = model.get_image_features(**inputs) if tower is not model else None
        return tower(**inputs), features


@pytest.mark.parametrize(
    ("kind", "pooled_by", "prefix"),
    [
        ("vit", "class token", 1),
        ("dinov2", "class token", 1),
        ("registers", "class token", 5),
        ("dinov3", "class token", 5),
        ("dinov3_convnext", "mean", 1),
        ("mae", "class token", 1),
        ("clip", "class token", 1),
        ("siglip", "attention", 0),
        ("siglip2", "attention", 0),
        ("convnext", "mean", None),
        ("resnet", "mean", None),
    ],
)
def test_transformers_features_are_the_librarys_own(
    kind: str, pooled_by: str, prefix: int | None, hub_folder: HubFolder
) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    encoder = load_encoder(f"hf:{hub_folder(kind)}")
    assert encoder.image_size == 32
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        pooled, dense = encoder.encode(x), encoder.encode_dense(x)
        assert torch.equal(pooled, encoder.encode(x))  # a masked autoencoder must not draw
    output, _ = library_outputs(hub_folder(kind), picture)
    last = output.last_hidden_state
    if pooled_by == "class token" and kind in ("vit", "mae"):  # no pooler, or one that was never trained
        expected = last[:, 0]
    else:
        expected = output.pooler_output.flatten(1)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    if pooled_by == "class token":
        whole = encoder.module.vision_model if hasattr(encoder.module, "vision_model") else encoder.module
        norm = getattr(whole, "post_layernorm", None)  # CLIP's class token passes one more normalisation
        torch.testing.assert_close(pooled, last[:, 0] if norm is None else norm(last[:, 0]), atol=1e-5, rtol=1e-5)
    assert encoder.dim == pooled.shape[1] == 32
    if prefix is None:
        torch.testing.assert_close(dense, last, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(expected, _normed(encoder.module, last.mean((2, 3))), atol=1e-5, rtol=1e-5)
        return
    side = round((last.shape[1] - prefix) ** 0.5)
    assert dense.shape == (1, 32, side, side)
    patches = last[0, prefix:].reshape(side, side, 32).permute(2, 0, 1)  # no class token, no registers
    torch.testing.assert_close(dense[0], patches, atol=1e-5, rtol=1e-5)


def _normed(module: Any, pooled: torch.Tensor) -> torch.Tensor:
    """Apply the normalisation that ConvNeXt has behind its pool."""
    with torch.no_grad():
        return module.layernorm(pooled) if hasattr(module, "layernorm") else pooled


@pytest.mark.parametrize("kind", ["vit", "dinov2", "registers", "dinov3", "clip", "siglip", "siglip2"])
def test_transformers_at_another_size_and_grey(kind: str, hub_folder: HubFolder) -> None:
    encoder = load_encoder(f"hf:{hub_folder(kind)}", image_size=48, channels=1)
    assert encoder.preprocess.channels == 1
    x = images(1, 48)
    three = load_encoder(f"hf:{hub_folder(kind)}", image_size=48)
    with torch.no_grad():
        assert encoder.encode_dense(x).shape == (2, 32, 6, 6)
        torch.testing.assert_close(encoder.encode(x), three.encode(x.expand(-1, 3, -1, -1)))


def copy_of(folder: Path, place: Path, *, without: str = "preprocessor_config.json") -> Path:
    place.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.name != without:
            (place / file.name).write_bytes(file.read_bytes())
    return place


def test_transformers_own_processor_is_read(hub_folder: HubFolder, tmp_path: Path) -> None:
    def settings(**values: Any) -> Encoder:
        (place / "preprocessor_config.json").write_text(json.dumps(values))
        return load_encoder(f"hf:{place}")

    place = copy_of(hub_folder("vit"), tmp_path / "vit")
    means = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    encoder = settings(**means, size={"height": 48, "width": 48})
    assert encoder.description.mean == (0.1, 0.2, 0.3)
    assert encoder.description.std == (0.4, 0.5, 0.6)
    assert encoder.image_size == 48
    assert settings(**means, do_resize=False).image_size == 32  # the model's own
    kind = {"image_processor_type": "CLIPImageProcessor"}
    assert settings(**means, **kind, size={"shortest_edge": 64}, crop_size=40).image_size == 40
    assert settings(**means, **kind, size={"shortest_edge": 64}, crop_size=40, do_center_crop=False).image_size == 64
    plain = settings(do_normalize=False)
    assert plain.description.mean is None
    assert plain.encode(images(3, 32)).shape == (2, 32)
    (place / "preprocessor_config.json").write_text("{")
    with pytest.raises(SkysiftError, match=r"can't read .*preprocessor_config\.json"):
        load_encoder(f"hf:{place}")


def test_a_processor_that_rescales_otherwise(hub_folder: HubFolder, tmp_path: Path) -> None:
    """Pixels of 0-255, or of 0-2: the encoder's images stay in [0, 1], the backbone sees what it was trained on."""
    picture = np.random.default_rng(8).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    place = copy_of(hub_folder("vit"), tmp_path / "vit")
    for values in (
        {"do_rescale": False, "image_mean": [120.0] * 3, "image_std": [60.0] * 3},
        {"rescale_factor": 2 / 255, "image_mean": [1.0, 0.9, 0.8], "image_std": [0.5] * 3},
        {"rescale_factor": 2 / 255, "do_normalize": False},
    ):
        (place / "preprocessor_config.json").write_text(json.dumps(values))
        output, _ = library_outputs(place, picture)
        with torch.no_grad():
            found = load_encoder(f"hf:{place}").encode(x)
        torch.testing.assert_close(found, output.last_hidden_state[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "mean"), [("dinov2", 0.485), ("clip", 0.48145466), ("siglip", 0.5), ("dinov3", 0.485)]
)
def test_without_a_processor_the_usual_numbers_with_a_warning(
    kind: str, mean: float, hub_folder: HubFolder, tmp_path: Path
) -> None:
    place = copy_of(hub_folder(kind), tmp_path / kind)
    with pytest.warns(SkysiftWarning, match=rf"comes without preprocessor_config\.json.*mean {mean:g}"):
        encoder = load_encoder(f"hf:{place}")
    assert encoder.description.mean is not None
    assert encoder.description.mean[0] == mean
    assert encoder.description == load_encoder(f"hf:{hub_folder(kind)}").description


def test_a_processor_with_other_parts(hub_folder: HubFolder, tmp_path: Path) -> None:
    """`processor_config.json` of a two-tower model holds the settings of images one level down."""
    place = copy_of(hub_folder("clip"), tmp_path / "clip")
    own = json.loads((hub_folder("clip") / "preprocessor_config.json").read_text())
    (place / "processor_config.json").write_text(
        json.dumps({"processor_class": "CLIPProcessor", "image_processor": own})
    )
    assert load_encoder(f"hf:{place}").description == load_encoder(f"hf:{hub_folder('clip')}").description


def test_the_licence_of_a_card_is_kept(hub_folder: HubFolder, tmp_path: Path) -> None:
    place = copy_of(hub_folder("vit"), tmp_path / "vit", without="")
    assert "licence" not in load_encoder(f"hf:{place}").description.origin
    (place / "README.md").write_text("---\nlicense: apache-2.0\ntags: [vision]\n---\n# A model\n")
    assert load_encoder(f"hf:{place}").description.origin["licence"] == "apache-2.0"


def test_transformers_random_is_seeded(hub_folder: HubFolder) -> None:
    first = load_encoder(f"hf:{hub_folder('vit')}", weights="random", seed=1)
    assert first.digest() == load_encoder(f"hf:{hub_folder('vit')}", weights="random", seed=1).digest()
    assert first.digest() != load_encoder(f"hf:{hub_folder('vit')}", weights="random", seed=2).digest()
    assert first.digest() != load_encoder(f"hf:{hub_folder('vit')}").digest()


def test_transformers_from_the_hubs_cache(
    hub_folder: HubFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    cache(tmp_path, "someone/vit-tiny")
    for file in hub_folder("vit").iterdir():
        (snapshot(tmp_path, "someone/vit-tiny") / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    encoder = load_encoder("hf:someone/vit-tiny")
    assert encoder.digest() == load_encoder(f"hf:{hub_folder('vit')}").digest()
    (snapshot(tmp_path, "someone/vit-tiny") / "model.safetensors").unlink()
    with pytest.raises(
        SkysiftError, match=r"no model\.safetensors or pytorch_model\.bin of someone/vit-tiny in the hub"
    ):
        load_encoder("hf:someone/vit-tiny")


@pytest.mark.parametrize("spec", ["timm:resnet18", "hf:facebook/dinov2-small"])
@pytest.mark.parametrize("offline", [True, False])
def test_weights_out_of_reach_are_a_clear_error_at_once(
    spec: str, offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the port for discarding
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    start = time.monotonic()
    with pytest.raises(SkysiftError, match=r"--weights-from.*--weights random") as caught:
        load_encoder(spec)
    repository = {"timm:resnet18": "timm/resnet18.a1_in1k"}.get(spec, spec.removeprefix("hf:"))
    assert f"`hf download {repository}`" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert time.monotonic() - start < 6
    assert spec in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_server_that_never_answers_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "REACH_SECONDS", 0.2)
    monkeypatch.setattr(hub, "_connects", lambda host, port: time.sleep(3))
    hub._reachable.cache_clear()
    start = time.monotonic()
    assert not hub.reachable("https://nowhere.invalid")
    assert time.monotonic() - start < 2
    hub._reachable.cache_clear()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm:resnt18", "did you mean resnet18"),
        ("timm:resnet18.nothing", "Invalid pretrained tag"),
        ("hf:a/b/c", "OWNER/NAME"),
        ("nothing-like-that", "no encoder of that name"),
    ],
)
def test_names_that_do_not_exist(spec: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_encoder(spec)


def test_what_takes_no_images_is_refused(hub_folder: HubFolder) -> None:
    with pytest.raises(RequestError, match=r"takes no images but input_ids"):
        load_encoder(f"hf:{hub_folder('bert')}")
    with pytest.raises(RequestError, match=r"3 channels .*not 5"):
        load_encoder(f"hf:{hub_folder('vit')}", channels=5)


def test_a_checkpoint_without_some_weights_is_refused(hub_folder: HubFolder, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_bytes((hub_folder("dinov2") / "config.json").read_bytes())
    state = load_file(hub_folder("dinov2") / "model.safetensors")
    save_file({k: v for k, v in state.items() if "layernorm.weight" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(SkysiftError, match="1 weights are missing"):
        load_encoder(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "mystery", "auto_map": {"AutoModel": "x.Y"}}')
    with pytest.raises(SkysiftError, match="without running code"):
        load_encoder(f"hf:{tmp_path}")


def test_an_encoder_of_ours_can_not_be_bent(tmp_path: Path) -> None:
    preprocess = Preprocess.preset("minmax", size=32, channels=1)
    save_encoder(Encoder.of_backbone(build_backbone("test_resnet", channels=1), "test_resnet", preprocess), tmp_path)
    assert load_encoder(str(tmp_path), channels=1, image_size=32).preprocess == preprocess
    with pytest.raises(RequestError, match="channels 1; channels 3 does not fit"):
        load_encoder(str(tmp_path), channels=3)
    with pytest.raises(RequestError, match="its own preprocessing"):
        load_encoder(str(tmp_path), preprocess="riggi2024")
