"""A damaged manifest: said in one sentence, in nobody's way, removable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skysift.cli.program import main
from skysift.errors import RequestError, SkysiftError
from skysift.store import Artifact, Store, lineage, upkeep
from tests.store.toys import Squares, Total


def truncate(text: str) -> str:
    return text[: len(text) // 2]


def drop(key: str) -> object:
    def change(text: str) -> str:
        return json.dumps({k: v for k, v in json.loads(text).items() if k != key})

    return change


def spoil_files(text: str) -> str:
    manifest = json.loads(text)
    manifest["files"]["squares.txt"] = 8
    return json.dumps(manifest)


DAMAGES = {
    "truncated": truncate,
    "empty": lambda _: "",
    "text": lambda _: "not JSON\n",
    "binary": lambda _: "\x00\x01",
    "list": lambda _: "[1, 2]",
    "no counts": drop("counts"),
    "no inputs": drop("inputs"),
    "wrong type": lambda text: json.dumps({**json.loads(text), "files": [1]}),
    "files": spoil_files,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(params=DAMAGES, ids=str)
def damaged(request: pytest.FixtureRequest, store: Store) -> Artifact:
    """Squares with a damaged manifest, from which a total was made."""
    squares = store.run(Squares())
    store.run(Total(squares=(squares.id,)))
    path = squares.folder / "manifest.json"
    path.write_text(DAMAGES[request.param](path.read_text()))  # type: ignore[operator]
    return Artifact(squares.id, squares.kind, squares.folder)


def test_every_use_names_file_and_remedy(store: Store, damaged: Artifact) -> None:
    path = damaged.folder / "manifest.json"
    says = rf"{path} is damaged \(.*\): remove the artifact with `skysift rm --force {damaged.id[:12]}`"
    for use in (
        lambda: store.get(damaged.id[:8]),
        lambda: store.run(Squares()),
        lambda: store.run(Total(squares=(damaged.id,), offset=3)),
        lambda: store.identify(Total(squares=(damaged.id,), offset=3)),
        lambda: upkeep.remove(store, damaged.id),
        lambda: store.name(damaged.id, "mine"),
    ):
        with pytest.raises(SkysiftError, match=says) as error:
            use()
        assert "\n" not in str(error.value)


def test_it_is_listed_drawn_and_removed(store: Store, damaged: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    [total] = store.artifacts()
    assert total.kind == "total"
    at = ("--store", str(store.root))
    assert main(["ls", *at]) == 0
    said = capsys.readouterr()
    rows = {line.split()[0]: line.split()[1] for line in said.out.splitlines()[1:]}
    assert rows == {"damaged": damaged.id[:12], "total": total.id[:12]}
    [warning] = said.err.splitlines()
    assert f"{damaged.folder / 'manifest.json'} is damaged" in warning
    assert main(["ls", "--kind", "damaged", "--json", *at]) == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert (entry["kind"], entry["id"], entry["rows"]) == ("damaged", damaged.id, None)
    for id_ in (total.id, damaged.id):
        assert f"squares {damaged.id[:12]} (damaged)" in lineage.tree(store, id_)
        assert f"a{damaged.id[:12]} --> a{total.id[:12]}" in lineage.mermaid(store, id_)
    for words in (["lineage", total.id], ["gc"]):
        assert main([*words, *at]) == 0
    capsys.readouterr()
    assert main(["show", damaged.id, *at]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert main(["rm", "--force", damaged.id[:8], *at]) == 0
    assert not damaged.folder.exists()
    assert store.run(Squares()).verify() == []


def test_nothing_made_from_it_is_forgotten(store: Store, damaged: Artifact) -> None:
    [total] = store.artifacts()
    assert set(lineage.descendants(store, damaged.id)) == {total.id}
    assert lineage.ancestors(store, total.id) == {damaged.id: damaged}
    other = store.run(Squares(count=2))
    store.run(Total(squares=(other.id,)))
    with pytest.raises(RequestError, match="is needed by total"):
        upkeep.remove(store, other.id)


def test_sources_are_found_again_past_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.txt").write_text("a")
    squares = store.run(Squares(files=(str(tmp_path / "old"),)))
    total = store.run(Total(squares=(squares.id,)))
    (squares.folder / "manifest.json").write_text("{")
    assert upkeep.relink(Store(store.root), total.id, tmp_path) == {}


def test_a_damaged_run_file_takes_only_the_age(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = store.run(Squares())
    (artifact.folder / "run.json").write_text("{")
    at = ("--store", str(store.root))
    assert main(["ls", *at]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["squares", artifact.id[:12], "8"]
    assert main(["show", artifact.id, *at]) == 1
    assert "run.json is damaged (no JSON)" in capsys.readouterr().err
    assert store.run(Squares()).id == artifact.id


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_index_is_named_with_its_remedy(store: Store, tmp_path: Path, content: str) -> None:
    names, sources = store.root / "names.json", store.root / "sources.json"
    squares = store.run(Squares())
    store.name(squares.id, "mine")
    names.write_text(content)
    with pytest.raises(SkysiftError, match=r"names\.json is damaged \(.*\): remove it, and name"):
        store.get("mine")
    names.unlink()
    assert store.get(squares.id).id == squares.id
    (tmp_path / "file").write_text("x")
    sources.write_text(content)
    with pytest.raises(SkysiftError, match=r"sources\.json is damaged \(.*\): remove it, then `skysift relink"):
        Store(store.root).sources.fingerprint(str(tmp_path / "file"))
