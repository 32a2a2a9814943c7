"""Labels: texts, maps, names of sets, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from skysift.cutouts.catalogue import Catalogue
from skysift.datasets.find import find_labelled_set
from skysift.datasets.labels import LabelMap, label_texts, read_label_map
from skysift.datasets.stages import Dataset
from skysift.errors import RequestError, SkysiftError
from skysift.store import Store

MIRABEST = ("FR-I=0..4", "FR-II=5..7")


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, []),
        (np.nan, []),
        (-1, []),
        (np.int64(3), ["3"]),
        (2.0, ["2"]),
        (2.5, ["2.5"]),
        ("a; b|a", ["a", "b"]),
        (["x", "y,x"], ["x", "y"]),
        (True, ["true"]),
        (b"raw", ["raw"]),
        ("", []),
    ],
)
def test_label_texts(value: object, texts: list[str]) -> None:
    assert label_texts(value) == texts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", json.dumps({"FR-I": [0, 1, 2, 3, 4], "FR-II": [5, 6, 7]})),
        ("m.yaml", "FR-I: [0, 1, 2, 3, 4]\nFR-II: [5, 6, 7]\n"),
        ("inverse.yaml", "".join(f"{i}: {'FR-I' if i < 5 else 'FR-II'}\n" for i in range(8))),
        ("m.csv", "label,class\n" + "".join(f"{i},{'FR-I' if i < 5 else 'FR-II'}\n" for i in range(8))),
    ],
)
def test_label_maps_of_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = LabelMap.parse(read_label_map((str(tmp_path / name),)))
    assert found == LabelMap.parse(MIRABEST)
    assert found.classes == ("FR-I", "FR-II")
    assert found.apply(["7", "9", "5"]) == ["FR-II"]


@pytest.mark.parametrize(
    ("entries", "text"),
    [(("A",), "is not CLASS=LABEL"), (("A=1+2", "B=2"), "'2' is in A and in B"), (("=1",), "is not CLASS=LABEL")],
)
def test_label_maps_that_make_no_sense(entries: tuple[str, ...], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        LabelMap.parse(entries)


def test_label_map_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nothing\.yaml: no label map"):
        read_label_map((str(tmp_path / "nothing.yaml"),))
    for name, text in (("a.yaml", "[1, 2"), ("b.json", "{"), ("c.yaml", "word"), ("d.csv", "a,b\n1,2\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(RequestError, match=name):
            read_label_map((str(tmp_path / name),))


def test_a_map_drops_other_labels_and_fixes_the_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", images=np.zeros((5, 4, 4), np.uint8), labels=np.array([9, 5, 0, -1, 6]))
    (tmp_path / "map.yaml").write_text("FR-II: [5, 6, 7]\nFR-I: [0, 1]\n")
    store = Store(tmp_path / "store")
    made = store.run(Dataset(source=str(tmp_path / "s.npz"), label_map=str(tmp_path / "map.yaml")))
    assert Catalogue.open(made).labels == [["FR-II"], ["FR-I"], [], ["FR-II"]]
    assert made.counts["unmapped"] == 1
    assert json.loads(made.path("classes.json").read_text()) == {"classes": ["FR-II", "FR-I"], "counts": [2, 1]}
    same = Dataset(source=str(tmp_path / "s.npz"), label_map=("FR-II=5+6+7", "FR-I=0+1"))
    assert store.identify(same) == made.id  # the file's content counts, not its path
    with pytest.raises(RequestError, match="no cutout has any of its labels"):
        store.run(Dataset(source=str(tmp_path / "s.npz"), label_map=("x=77",)))


@pytest.mark.parametrize(
    ("label_map", "said"),
    [
        (("A=0+1", "B=2..3"), None),
        (("A=0+1+7", "B=2..3"), "label map: no cutout has the label 7; there are 0, 1, 2, 3."),
        (
            ("A=0", "rare=7", "B=2+8"),
            "label map: no cutout has the labels 7, 8, so that the class rare will be empty; there are 0, 1, 2, 3.",
        ),
        (
            ("A=0", "rare=7", "typo=tow", "B=1"),
            "label map: no cutout has the labels 7, tow, so that the classes rare, typo will be empty; "
            "there are 0, 1, 2, 3.",
        ),
    ],
)
def test_labels_of_a_map_that_do_not_occur_are_named(
    tmp_path: Path, label_map: tuple[str, ...], said: str | None
) -> None:
    np.savez(tmp_path / "s.npz", images=np.zeros((4, 4, 4), np.uint8), labels=np.arange(4))
    made = Store(tmp_path / "store").run(Dataset(source=str(tmp_path / "s.npz"), label_map=label_map))
    assert made.run["warnings"] == ([] if said is None else [said])


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKYSIFT_DATASETS", raising=False)
    with pytest.raises(RequestError, match="set SKYSIFT_DATASETS"):
        find_labelled_set("mnist")
    sets = tmp_path / "sets"
    (sets / "deep" / "er").mkdir(parents=True)
    (sets / "deep" / "er" / "radio.npz").touch()
    (sets / "mnist").mkdir()
    monkeypatch.setenv("SKYSIFT_DATASETS", str(sets))
    assert find_labelled_set("mnist") == str(sets / "mnist")
    assert find_labelled_set("radio") == str(sets / "deep" / "er" / "radio.npz")
    assert find_labelled_set(str(sets / "mnist")) == str(sets / "mnist")
    with pytest.raises(RequestError, match="there is deep, mnist"):
        find_labelled_set("cifar")
    (sets / "radio.csv").touch()
    with pytest.raises(RequestError, match="names several"):
        find_labelled_set("radio")
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match="is no folder"):
        find_labelled_set("radio")


def test_sets_that_are_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = np.zeros((3, 4, 4), np.uint8)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.json").write_text("{}")
    for name in ("empty", "words.json"):
        with pytest.raises(RequestError, match="is no labelled set"):
            store.run(Dataset(source=str(tmp_path / name)))
    np.savez(tmp_path / "short.npz", images=images, labels=np.zeros(2, int))
    with pytest.raises(RequestError, match=r"labels has shape \(2,\) for 3 images"):
        store.run(Dataset(source=str(tmp_path / "short.npz")))
    np.savez(tmp_path / "object.npz", images=images, labels=np.array([{}, 1, 2], object))
    with pytest.raises(RequestError, match=r"labels holds Python objects .*labels=labels\.astype\(str\)"):
        store.run(Dataset(source=str(tmp_path / "object.npz")))
    np.savez(tmp_path / "unlabelled.npz", images=images)
    with pytest.raises(RequestError, match="has no array 'labels'; add one label an image"):
        store.run(Dataset(source=str(tmp_path / "unlabelled.npz")))
    np.savez(tmp_path / "none.npz", images=images, labels=np.full(3, -1))
    with pytest.raises(RequestError, match="Nothing in the labelled set has a label"):
        store.run(Dataset(source=str(tmp_path / "none.npz")))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "short.npz").read_bytes()[:200])
    with pytest.raises(SkysiftError, match=r"cut\.npz"):
        store.run(Dataset(source=str(tmp_path / "cut.npz")))
    (tmp_path / "plain.csv").write_text("path,size\na.png,3\n")
    with pytest.raises(RequestError, match=r"no file .*a\.png"):
        store.run(Dataset(source=str(tmp_path / "plain.csv")))
    with pytest.raises(RequestError, match="is not MEANING=NAME"):
        store.run(Dataset(source=str(tmp_path / "short.npz"), columns=("score",)))
    with pytest.raises(RequestError, match="source"):
        Dataset()
    assert not list((tmp_path / "store").glob("dataset/*"))


def test_a_label_map_in_one_text_is_several_entries() -> None:
    for text in ("FR-I=0..4, FR-II=5..7", ["FR-I=0..4,FR-II=5..7"]):
        assert read_label_map(text) == ("FR-I=0..4", "FR-II=5..7")
