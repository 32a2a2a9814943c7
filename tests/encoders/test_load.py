"""Encoders by name: timm, transformers, folders, and what is said where they can't be had."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from skysift.encoders import hub, load_encoder, save_encoder
from skysift.encoders._torchvision import ensure
from skysift.encoders.backbones import build_backbone
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError, SkysiftError
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


@pytest.mark.parametrize("kind", ["vit", "dinov2", "registers", "mae", "clip", "siglip", "convnext", "resnet"])
def test_transformers_features(kind: str, hub_folder: HubFolder) -> None:
    ensure()
    import transformers

    from skysift.encoders.transformer import quiet

    encoder = load_encoder(f"hf:{hub_folder(kind)}", image_size=32)
    x = images(3, 32)
    normalised = (x - 0.5) / 0.5
    with torch.no_grad():
        pooled, dense = encoder.encode(x), encoder.encode_dense(x)
        assert torch.equal(pooled, encoder.encode(x))  # a masked autoencoder must not draw
        with quiet(transformers):
            if kind in ("clip", "siglip"):
                model = transformers.AutoModel.from_pretrained(hub_folder(kind)).eval().vision_model
            else:
                model = transformers.AutoModel.from_pretrained(hub_folder(kind)).eval()
        if kind == "mae":
            order = torch.arange(16.0).expand(2, -1)
            model.config.mask_ratio = 0.0
            last = model(pixel_values=normalised, noise=order).last_hidden_state
            expected = last[:, 0]
        else:
            output = model(pixel_values=normalised)
            last = output.last_hidden_state
            expected = last[:, 0] if kind == "vit" else output.pooler_output.flatten(1)
    torch.testing.assert_close(pooled, expected)
    assert encoder.dim == 32
    if last.ndim == 4:
        torch.testing.assert_close(dense, last)
        return
    assert dense.shape == (2, 32, 4, 4)
    prefix = {"siglip": 0, "registers": 5}.get(kind, 1)
    torch.testing.assert_close(dense[1, :, 2, 3], last[1, prefix + 2 * 4 + 3])


@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip", "siglip"])
def test_transformers_at_another_size_and_grey(kind: str, hub_folder: HubFolder) -> None:
    encoder = load_encoder(f"hf:{hub_folder(kind)}", image_size=48, channels=1)
    assert encoder.preprocess.channels == 1
    x = images(1, 48)
    three = load_encoder(f"hf:{hub_folder(kind)}", image_size=48)
    with torch.no_grad():
        assert encoder.encode_dense(x).shape == (2, 32, 6, 6)
        torch.testing.assert_close(encoder.encode(x), three.encode(x.expand(-1, 3, -1, -1)))


def test_transformers_own_normalisation_is_read(hub_folder: HubFolder, tmp_path: Path) -> None:
    for file in hub_folder("vit").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "size": {"height": 48, "width": 48}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    encoder = load_encoder(f"hf:{tmp_path}")
    assert encoder.description.mean == (0.1, 0.2, 0.3)
    assert encoder.description.std == (0.4, 0.5, 0.6)
    assert encoder.image_size == 48
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    plain = load_encoder(f"hf:{tmp_path}", channels=1)
    assert plain.description.mean is None
    assert plain.encode(images(1, 32)).shape == (2, 32)


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
