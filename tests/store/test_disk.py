"""Where a store can be, and what is said where it can't."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skysift.cli.program import main
from skysift.errors import RequestError, SkysiftError
from skysift.store import Store
from tests.store.toys import Squares


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("text")
    return path


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may be read, not written to."""
    folder, allowed = tmp_path / "locked", os.access
    folder.mkdir()
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: allowed(path, mode) and not (mode & os.W_OK and folder in (path, *path.parents)),
    )
    return folder


def test_a_file_is_no_store(file: Path) -> None:
    for root in (file, file / "below" / "it"):
        with pytest.raises(RequestError, match=f"{file} is a file"):
            Store(root)
    assert file.read_text() == "text"


@pytest.mark.parametrize("root", ["", "  "])
def test_a_store_has_a_name(root: str) -> None:
    with pytest.raises(RequestError, match="name is empty"):
        Store(root)


def test_nothing_is_begun_where_nothing_may_be_written(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Squares, "run", lambda *_: pytest.fail("worked"))
    monkeypatch.setattr("skysift.store.sources.file_digest", lambda _: pytest.fail("read"))
    (tmp_path / "a.txt").write_text("a")
    for root in (locked, locked / "store"):
        with pytest.raises(SkysiftError, match=f"{locked}: no permission to write"):
            Store(root).run(Squares(files=(str(tmp_path / "a.txt"),)))
    assert not any(locked.iterdir())


def test_what_is_there_needs_no_permission_to_write(tmp_path: Path, locked: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    made = Store(tmp_path / "store").run(Squares(files=(str(tmp_path / "a.txt"),)))
    locked.rmdir()
    (tmp_path / "store").rename(locked)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    before = (locked / "sources.json").read_bytes()
    assert Store(locked).run(Squares(files=(str(tmp_path / "b.txt"),))).id == made.id
    assert (locked / "sources.json").read_bytes() == before
    with pytest.raises(SkysiftError, match="no permission"):
        Store(locked).run(Squares(count=3))


def test_identifying_leaves_the_disk_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    request = Squares(files=(str(tmp_path / "a.txt"),))
    store = Store(tmp_path / "store")
    planned = store.identify(request)
    assert not store.root.exists()
    assert store.run(request).id == planned
    files = {p: p.stat().st_mtime_ns for p in store.root.rglob("*")}
    (tmp_path / "b.txt").write_text("b")
    store.identify(Squares(files=(str(tmp_path / "b.txt"),)))
    assert {p: p.stat().st_mtime_ns for p in store.root.rglob("*")} == files


def test_what_identifying_read_is_written_by_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    request = Squares(files=(str(tmp_path / "a.txt"),))
    store = Store(tmp_path / "store")
    store.identify(request)
    monkeypatch.setattr("skysift.store.sources.file_digest", lambda _: pytest.fail("read again"))
    artifact = store.run(request)
    [fingerprint] = artifact.manifest["sources"]["files"]
    assert Store(store.root).sources.locate(fingerprint) == str(tmp_path / "a.txt")


@pytest.mark.parametrize("words", ["ls", "gc", "cutouts {mosaic}", "demo --out {out}", "show beef"])
def test_commands_refuse_it_before_any_work(
    words: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    split = [word.format(mosaic=file, out=out) for word in words.split()]
    for root, says in ((str(file), "is a file"), (str(file / "store"), "is a file"), ("", "name is empty")):
        assert main([*split, "--store", root]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        [line] = said.err.splitlines()
        assert says in line
    assert not out.exists()


def test_an_empty_variable_is_no_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYSIFT_STORE", "")
    assert main(["ls"]) == 0
    assert str(tmp_path / "skysift-store") in capsys.readouterr().err


def test_a_demo_in_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(file)]) == 2
    assert "choose another folder with --out" in capsys.readouterr().err
