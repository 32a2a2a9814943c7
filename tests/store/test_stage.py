"""Ids: what enters them and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from skysift.errors import RequestError
from skysift.store import Store
from tests.store.toys import Fancy, Plain, Squares, Total


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(name * 10)
    return folder


def test_golden_id(store: Store, files: Path) -> None:
    assert store.identify(Squares()) == "7a106fb28b1adf257e984c70ecd3a315"
    assert store.identify(Squares(files=(str(files),), count=3)) == "7381f45f16d77b7f016f1b8e681bffcb"


def test_defaults_spelled_out_give_the_same_id(store: Store) -> None:
    assert store.identify(Squares(count=8, option=Plain(power=1))) == store.identify(Squares())


@pytest.mark.parametrize("change", [{"count": 9}, {"option": Fancy()}, {"option": Plain(power=2)}, {"masks": "x"}])
def test_every_option_enters(store: Store, change: dict[str, object]) -> None:
    assert store.identify(Squares(**change)) != store.identify(Squares())  # type: ignore[arg-type]


def test_variants_of_a_union_do_not_collide(store: Store) -> None:
    assert store.identify(Squares(option=Fancy(power=2))) != store.identify(Squares(option=Plain(power=2)))


def test_runtime_fields_do_not_enter(store: Store) -> None:
    assert store.identify(Squares(pause=1.0)) == store.identify(Squares())


def test_version_enters(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.identify(Squares())
    monkeypatch.setattr(Squares, "version", 4)
    assert store.identify(Squares()) != before


def test_sources_enter_by_content_and_not_by_order_name_or_place(store: Store, files: Path, tmp_path: Path) -> None:
    paths = [str(files / f"{name}.txt") for name in "abc"]
    expected = store.identify(Squares(files=tuple(paths)))
    assert store.identify(Squares(files=tuple(reversed(paths)))) == expected
    assert store.identify(Squares(files=(str(files),))) == expected
    assert store.identify(Squares(files=(str(files / "*.txt"),))) == expected
    other = tmp_path / "elsewhere"
    other.mkdir()
    for number, path in enumerate(paths):
        (other / f"{9 - number}.txt").write_bytes(Path(path).read_bytes())
    assert Store(tmp_path / "other").identify(Squares(files=(str(other),))) == expected
    (files / "c.txt").write_text("changed")
    assert store.identify(Squares(files=tuple(paths))) != expected


def test_companions_enter_by_content_and_owner(store: Store, files: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name, text in zip("abc", "112", strict=True):
        (masks / f"{name}_mask").write_text(text)
    request = Squares(files=(str(files),), masks=str(masks / "{stem}_mask"))
    before = store.identify(request)
    (masks / "a_mask").write_text("2")
    (masks / "c_mask").write_text("1")
    assert store.identify(request) != before


def test_order_of_inputs_does_not_enter(store: Store) -> None:
    one, two = store.run(Squares(count=1)), store.run(Squares(count=2))
    assert store.identify(Total(squares=(one.id, two.id))) == store.identify(Total(squares=(two.id[:8], one.id)))


def test_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Squares(counts=3)  # type: ignore[call-arg]


def test_wrong_kind_of_input(store: Store) -> None:
    squares = store.run(Squares(count=2))
    total = store.run(Total(squares=(squares.id,)))
    with pytest.raises(RequestError, match="Total needs squares as squares"):
        store.run(Total(squares=(total.id,)))


def test_missing_source(store: Store) -> None:
    with pytest.raises(RequestError, match=r"nowhere\.txt: no such file"):
        store.run(Squares(files=("nowhere.txt",)))
