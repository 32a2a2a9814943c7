"""Classification by texts, against transformers' own pipeline on tiny two-tower models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from skysift.datasets.stages import Dataset
from skysift.encoders import load_encoder
from skysift.encoders._torchvision import ensure
from skysift.encoders.load import Request
from skysift.encoders.text import load_text_tower
from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.protocols.base import Problem
from skysift.evaluation.protocols.prompts import DESCRIPTIONS, TEMPLATES, class_texts
from skysift.evaluation.protocols.zeroshot import Texts, ZeroShot
from skysift.evaluation.stages import Evaluate
from skysift.features.stages import Features
from skysift.store import Store

SIDE = 32
SPECIAL = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]
PLAIN = [
    "a",
    "an",
    "the",
    "radio",
    "image",
    "of",
    "galaxy",
    "with",
    "two",
    "bright",
    "lobes",
    "source",
    "compact",
    "ring",
]
WORDS = [*SPECIAL, *PLAIN, "."]
CLASSES = ("compact source", "radio galaxy with two bright lobes", "ring")
Towers = Callable[[str], Path]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Towers:
    """Save a tiny model of two towers, its processor and a tokenizer of words, by the libraries' own code."""
    root = tmp_path_factory.mktemp("towers")

    def make(kind: str) -> Path:
        ensure()
        import transformers as t
        from tokenizers import Tokenizer, models, pre_tokenizers, processors

        from skysift.encoders.transformer import quiet

        folder = root / kind
        if folder.exists():
            return folder
        small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        text = {**small, "vocab_size": len(WORDS), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        square = {"height": SIDE, "width": SIDE}
        with torch.random.fork_rng(devices=[]), quiet(t):
            torch.manual_seed(5)
            if kind == "clip":
                vision = {**small, "image_size": SIDE, "patch_size": 8}
                config = t.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
                model, processor = (
                    t.CLIPModel(config),
                    t.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=square),
                )
            elif kind == "siglip":
                vision = {**small, "image_size": SIDE, "patch_size": 8}
                model = t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=vision))
                processor = t.SiglipImageProcessor(size=square)
            else:
                vision = {**small, "patch_size": 8, "num_patches": 16}
                model = t.Siglip2Model(t.Siglip2Config(text_config=text, vision_config=vision))
                processor = t.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
            with torch.no_grad():  # far from a tie, and a bias that shows
                model.logit_scale.fill_(2.0)
                if kind != "clip":
                    model.logit_bias.fill_(-1.5)
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
        words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
        words.post_processor = processors.TemplateProcessing(
            "[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
        )
        special = {"bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
        t.PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
        return folder

    return make


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE)).astype(np.uint8)


def problem(features: np.ndarray, texts: Texts | None) -> Problem:
    none, nothing = np.zeros((0, features.shape[1]), np.float32), np.zeros(0, np.int64)
    return Problem(
        train=none,
        train_classes=nothing,
        fit=none,
        fit_classes=nothing,
        validation=none,
        validation_classes=nothing,
        test=features,
        n_classes=3,
        texts=texts,
    )


def colour_features(folder: Path, images: np.ndarray) -> np.ndarray:
    """Features of grey pictures, each shown in three equal channels."""
    x = torch.from_numpy(images).float()[:, None].expand(-1, 3, -1, -1) / 255
    with torch.no_grad():
        return load_encoder(f"hf:{folder}").encode(x).numpy()


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_logits_are_those_of_transformers_own_pipeline(kind: str, towers: Towers) -> None:
    import transformers

    from skysift.encoders.transformer import quiet

    images = pictures(6)
    folder = towers(kind)
    features = colour_features(folder, images)
    template = "a radio image of a {}."
    tower = load_text_tower(Request(f"hf:{folder}"))
    texts, _ = class_texts(CLASSES, [template], [f"{name}={name}" for name in CLASSES])
    logits = tower.logits(torch.from_numpy(features), tower.embed_classes(texts))
    with quiet(transformers):
        pipeline = transformers.pipeline(
            "zero-shot-image-classification",
            model=str(folder),
            tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
            image_processor=transformers.AutoImageProcessor.from_pretrained(folder),
        )
        found = [
            {
                entry["label"]: entry["score"]
                for entry in pipeline(
                    Image.fromarray(image).convert("RGB"), candidate_labels=list(CLASSES), hypothesis_template=template
                )
            }
            for image in images
        ]
    expected = torch.tensor([[entry[name] for name in CLASSES] for entry in found])
    ours = logits.softmax(1) if kind == "clip" else logits.sigmoid()
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    assert (expected.max(0).values - expected.min(0).values).max() > 1e-2  # the images do differ

    outcome = ZeroShot(templates=(template,), prompts=tuple(f"{name}={name}" for name in CLASSES)).evaluate(
        problem(features, Texts(CLASSES, tower))
    )
    np.testing.assert_allclose(outcome.probabilities, logits.softmax(1).numpy(), atol=1e-6)
    np.testing.assert_array_equal(outcome.probabilities.argmax(1), expected.argmax(1).numpy())
    np.testing.assert_allclose(outcome.probabilities.sum(1), 1, atol=1e-6)


def test_prompts_are_averaged_as_embeddings(towers: Towers) -> None:
    """Radford et al. 2021, written out: unit embeddings of all texts of a class, their mean, of unit length again."""
    folder = towers("clip")
    features = colour_features(folder, pictures(4))
    tower = load_text_tower(Request(f"hf:{folder}"))
    protocol = ZeroShot(
        templates=("a radio image of {}.", "the {} image"),
        prompts=("b=a ring|a compact source", "a=a galaxy with two bright lobes"),
    )
    outcome = protocol.evaluate(problem(features, Texts(("a", "b"), tower)))
    written = {
        "a": ["a radio image of a galaxy with two bright lobes.", "the a galaxy with two bright lobes image"],
        "b": [
            "a radio image of a ring.",
            "the a ring image",
            "a radio image of a compact source.",
            "the a compact source image",
        ],
    }
    with torch.no_grad():
        means = []
        for texts in written.values():
            rows = [
                tower.model.get_text_features(**tower.tokenizer([text], return_tensors="pt")).pooler_output[0]
                for text in texts
            ]
            mean = torch.stack([row / row.norm() for row in rows]).mean(0)
            means.append(mean / mean.norm())
        joint = normalize(tower.model.visual_projection(torch.from_numpy(features)), dim=1)
        expected = (joint @ torch.stack(means).T * np.exp(2.0)).softmax(1)
    np.testing.assert_allclose(outcome.probabilities, expected.numpy(), atol=1e-5)
    assert outcome.chosen["texts"] == {"a": 2, "b": 4}


def test_long_texts_are_cut_and_many_are_embedded_in_parts(towers: Towers) -> None:
    tower = load_text_tower(Request(f"hf:{towers('siglip')}"))
    long = "a radio image of " * 60
    found = tower.embed([long, *["ring"] * 100, long])
    assert found.shape == (102, 32)
    torch.testing.assert_close(found[0], found[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(102))


def test_default_texts() -> None:
    names = ["FR-I", "FR-II", "FRI", "fr2", "Compact", "Bent", "1C-1P", "DIFFUSE-LARGE", "ARTIFACT", "spiral_galaxy"]
    texts, unknown = class_texts(names)
    assert unknown == ["spiral_galaxy"]
    assert texts[0] == texts[2]
    assert texts[1] == texts[3]
    assert texts[0][0] == "a radio image of an FR-I radio galaxy."
    assert texts[9][0] == "a radio image of spiral galaxy."
    assert [len(text) for text in texts[:2]] == [len(TEMPLATES) * len(DESCRIPTIONS[key]) for key in ("fri", "frii")]
    assert all("{" not in text for group in texts for text in group)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["0", "1"], {}, "'0' says nothing in words"),
        (["a", "b"], {"templates": ["nothing"]}, "needs one {}"),
        (["a", "b"], {"prompts": ["c=a thing"]}, "with one of a, b"),
        (["a", "b"], {"prompts": ["a="]}, "is not CLASS=DESCRIPTION"),
    ],
)
def test_texts_that_can_not_be(names: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        class_texts(names, **options)


def test_numbers_may_be_described() -> None:
    texts, unknown = class_texts(["0", "1"], ["{}"], ["0=the digit zero", "1=the digit one|a stroke"])
    assert texts == [["the digit zero"], ["the digit one", "a stroke"]]
    assert not unknown


def test_encoders_without_a_text_tower(towers: Towers, tmp_path: Path) -> None:
    import transformers

    from skysift.encoders.transformer import quiet

    with pytest.raises(RequestError, match="timm:resnet18 has no text tower"):
        load_text_tower(Request("timm:resnet18"))
    with pytest.raises(RequestError, match="random weights have no text tower"):
        load_text_tower(Request(f"hf:{towers('clip')}", weights="random"))
    with quiet(transformers):
        small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        transformers.ViTModel(transformers.ViTConfig(**small, image_size=16, patch_size=8)).save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="is a vit without a text tower"):
        load_text_tower(Request(f"hf:{tmp_path}"))
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in towers("clip").iterdir():
        if "token" not in file.name:
            (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SkysiftError, match=r"comes without a tokenizer: put tokenizer\.json"):
        load_text_tower(Request(f"hf:{bare}"))
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(SkysiftError, match=r"its tokenizer can't be read"):
        load_text_tower(Request(f"hf:{bare}"))
    other = json.loads((towers("clip") / "tokenizer.json").read_text())
    other["model"]["vocab"]["extra"] = len(WORDS)
    (bare / "tokenizer.json").write_text(json.dumps(other))
    (bare / "tokenizer_config.json").write_bytes((towers("clip") / "tokenizer_config.json").read_bytes())
    tower = load_text_tower(Request(f"hf:{bare}"))
    assert tower.embed(["a ring"]).shape == (1, 16)
    with pytest.raises(SkysiftError, match=rf"words beyond the {len(WORDS)} of its text tower"):
        tower.embed(["a ring", "an extra ring"])
    with pytest.raises(RequestError, match="needs the text tower"):
        ZeroShot().evaluate(problem(np.zeros((2, 32), np.float32), None))


def test_the_stage(towers: Towers, tmp_path: Path) -> None:
    """Cutouts to scores: as many right as the library's own answers, from features that were cached once."""
    store = Store(tmp_path / "store")
    images = pictures(40)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    np.savez(tmp_path / "set.npz", images=images, labels=labels, classes=np.array(["compact", "FR-II"]))
    cutouts = store.run(Dataset(source=str(tmp_path / "set.npz")))
    features = store.run(
        Features(cutouts=cutouts.id, encoder=f"hf:{towers('clip')}", preprocess="minmax", image_size=SIDE)
    )
    stage = Evaluate(features=features.id, protocol=("zeroshot", "knn"), draws=2, split="image")
    found = store.run(stage)
    assert {"zeroshot_accuracy", "knn_accuracy"} <= set(found.counts)
    metrics = json.loads(found.path("metrics.json").read_text())
    assert metrics["protocols"]["zeroshot"]["chosen"][0]["texts"]["FR-II"] == 3 * len(TEMPLATES)
    tower = load_text_tower(Request(f"hf:{towers('clip')}"))
    texts, _ = class_texts(["compact", "FR-II"])
    array = np.load(features.path("features.npy"))
    answers = tower.logits(torch.from_numpy(array), tower.embed_classes(texts)).argmax(1).numpy()
    import pyarrow.parquet as pq

    rows = [
        row for row in pq.read_table(found.path("predictions.parquet")).to_pylist() if row["protocol"] == "zeroshot"
    ]
    assert len(rows) == 24
    assert [row["predicted"] for row in rows] == answers[[row["row"] for row in rows]].tolist()
    again = Evaluate(
        features=features.id, protocol=("zeroshot", "knn"), draws=2, split="image", zeroshot=ZeroShot(templates=("{}",))
    )
    assert store.identify(again) != found.id
    resnet = store.run(Features(cutouts=cutouts.id, encoder="timm:test_resnet", weights="random", image_size=SIDE))
    with pytest.raises(RequestError, match="no text tower; take the encoder of a two-tower model"):
        store.run(Evaluate(features=resnet.id, protocol=("zeroshot",), split="image"))
