"""Training that starts from an earlier model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from skysift.encoders import Encoder, build_backbone, load_encoder, save_encoder
from skysift.errors import RequestError
from skysift.imaging import Preprocess
from skysift.ssl.network import Network
from skysift.ssl.stages import Train
from skysift.ssl.start import licence, new_encoder
from skysift.store import Artifact, Store, ancestors
from skysift.store.stage import identity
from tests.ssl.test_stages import QUICK, ToyPack

ZERO = "0" * 32


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str, Artifact]:
    """A store, a pack in it, and a model of one epoch."""
    store = Store(tmp_path_factory.mktemp("store"))
    pack = store.run(ToyPack())
    return store, pack.id, store.run(Train(cutouts=pack.id, threads=1, **QUICK | {"epochs": 1}))


def saved(folder: Path, backbone: str, **options: Any) -> Path:
    """An encoder as a model artifact holds it."""
    spec = Preprocess.preset("riggi2024", size=options.get("image_size", 32), channels=options.get("channels", 1))
    module = build_backbone(backbone, channels=spec.channels, seed=8, image_size=spec.size)
    save_encoder(Encoder.of_backbone(module, backbone, spec), folder)
    return folder


def test_backbone_has_the_models_weights_and_heads_are_new(first: tuple[Store, str, Artifact]) -> None:
    _, pack, model = first
    stage = Train(cutouts=pack, init_from=model.id, **QUICK)
    encoder = new_encoder(stage, model.folder)
    assert encoder.digest() == load_encoder(str(model.folder)).digest()
    fresh = new_encoder(Train(cutouts=pack, **QUICK))
    assert fresh.digest() != encoder.digest()
    heads = [Network(e.module, e.dim, stage.method, seed=1).heads.state_dict() for e in (encoder, fresh)]
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


def test_the_model_is_part_of_id_lineage_and_card(first: tuple[Store, str, Artifact]) -> None:
    store, pack, model = first
    options = QUICK | {"epochs": 1, "lr": 1e-12}
    artifact = store.run(Train(cutouts=pack, init_from=model.id[:10], threads=1, **options))
    assert artifact.id != store.identify(Train(cutouts=pack, threads=1, **options))
    assert set(ancestors(store, artifact.id)) == {pack, model.id}
    assert (
        f"| Starts from | model {model.id}, its backbone; the heads were new |"
        in (artifact.folder / "card.md").read_text()
    )
    trained, before = load_encoder(artifact.id, store=store), load_encoder(model.id, store=store)
    for (name, value), other in zip(trained.module.named_parameters(), before.module.parameters(), strict=True):
        torch.testing.assert_close(value, other, msg=name)  # nothing moved at that rate


def test_another_preprocessing_is_warned_of(first: tuple[Store, str, Artifact], capsys: Any) -> None:
    store, pack, model = first
    options = QUICK | {"epochs": 1, "preprocess": "minmax"}
    store.run(Train(cutouts=pack, init_from=model.id, threads=1, **options))
    assert (
        f"--init-from {model.id[:12]} was trained with preprocessing riggi2024, not minmax" in capsys.readouterr().err
    )


def test_the_licence_of_its_weights_is_known(tmp_path: Path) -> None:
    module = build_backbone("test_resnet", channels=1, image_size=32)
    spec = Preprocess.preset("riggi2024", size=32, channels=1)
    save_encoder(Encoder.of_backbone(module, "test_resnet", spec, origin={"licence": "apache-2.0"}), tmp_path / "a")
    assert licence(tmp_path / "a") == "apache-2.0"
    assert licence(saved(tmp_path / "b", "test_resnet")) is None


def test_without_a_model_the_id_is_what_it_was() -> None:
    assert identity(Train(cutouts=ZERO, init_from=None), {}, {}) == identity(Train(cutouts=ZERO), {}, {})
    assert identity(Train(cutouts=ZERO, init_from="1" * 32), {}, {}) != identity(Train(cutouts=ZERO), {}, {})


def test_a_convolutional_network_may_see_larger_images(tmp_path: Path) -> None:
    folder = saved(tmp_path, "test_resnet")
    encoder = new_encoder(Train(cutouts=ZERO, **QUICK | {"image_size": 64}), folder)
    assert (encoder.image_size, encoder.digest()) == (64, load_encoder(str(folder)).digest())


@pytest.mark.parametrize(
    ("backbone", "made", "asked", "message"),
    [
        ("test_efficientnet", {}, {}, "is a test_efficientnet and can't start a test_resnet: give --backbone"),
        ("test_resnet", {"channels": 3}, {}, "takes 3 channels and the request has 1: give --channels 3"),
        (
            "test_vit",
            {},
            {"backbone": "test_vit", "image_size": 64},
            "images of 32 pixels, not 64: give --image-size 32",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, backbone: str, made: dict[str, Any], asked: dict[str, Any], message: str
) -> None:
    folder = saved(tmp_path, backbone, **made)
    with pytest.raises(RequestError, match=message):
        new_encoder(Train(cutouts=ZERO, **QUICK | asked), folder)


def test_only_a_model_can_be_the_start(first: tuple[Store, str, Artifact]) -> None:
    store, pack, _ = first
    with pytest.raises(RequestError, match=r"needs model as init_from, but .* is a pack"):
        store.run(Train(cutouts=pack, init_from=pack, **QUICK))
