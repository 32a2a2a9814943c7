"""Running, resuming, finding, naming, removing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skysift.errors import RequestError, SkysiftError
from skysift.store import Store, lineage, upkeep
from skysift.store.work import Threads
from tests.conftest import ROOT
from tests.store.toys import Squares, Total


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def run_apart(store: Store, marks: Path, pause: float) -> subprocess.Popen[bytes]:
    code = (
        "from skysift.store import Store\nfrom skysift.store.work import Threads\n"
        "from tests.store.toys import Squares\n"
        f"Store({str(store.root)!r}).run(Squares(pause={pause}, marks={str(marks)!r}), engine=Threads(1))"
    )
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": paths})


def wait_for(condition: object, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_artifact_on_disk(store: Store) -> None:
    artifact = store.run(Squares(count=4))
    assert artifact.folder == store.root / "squares" / artifact.id
    assert sorted(p.name for p in artifact.folder.iterdir()) == ["manifest.json", "run.json", "squares.txt"]
    assert artifact.path("squares.txt").read_text() == "0\n1\n4\n9\n"
    assert artifact.manifest["counts"] == {"rows": 4}
    assert artifact.manifest["config"] == {"count": 4, "masks": None, "option": {"name": "plain", "power": 1}}
    assert artifact.manifest["files"]["squares.txt"]["bytes"] == 8
    assert artifact.verify() == []
    assert not any(store.partial.iterdir())


def test_same_request_does_no_work_again(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    first = store.run(Squares(marks=str(marks)))
    second = store.run(Squares(marks=str(marks)))
    assert first == second
    assert len(marks.read_text().split()) == 8


def test_equal_bytes_in_another_store_with_other_workers(store: Store, tmp_path: Path) -> None:
    one = store.run(Squares(count=30), engine=Threads(1))
    two = Store(tmp_path / "b").run(Squares(count=30), engine=Threads(4))
    assert one.digest() == two.digest()


def test_kill_and_resume(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    worker = run_apart(store, marks, pause=0.15)
    wait_for(lambda: marks.exists() and len(marks.read_text().split()) >= 4)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert not list(store.artifacts())
    artifact = store.run(Squares(marks=str(marks)), engine=Threads(1))
    assert artifact.path("squares.txt").read_text().split() == [str(n * n) for n in range(8)]
    calls = [int(word) for word in marks.read_text().split()]
    assert sorted(set(calls)) == list(range(8))
    assert len(calls) <= 9, "finished shards were worked out again"
    assert artifact.digest() == Store(tmp_path / "fresh").run(Squares()).digest()


def test_killed_between_manifest_and_rename(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = tmp_path / "marks"
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_publish", lambda *_: None)
        store.run(Squares(marks=str(marks)))
    assert not list(store.artifacts())
    store.run(Squares(marks=str(marks)))
    assert len(marks.read_text().split()) == 8
    assert len(list(store.artifacts())) == 1


def test_stale_files_of_a_killed_run_are_not_published(store: Store) -> None:
    partial = store.partial / store.identify(Squares())
    partial.mkdir(parents=True)
    (partial / "stale.tmp").write_text("left over")
    assert store.run(Squares()).verify() == []
    assert not (store.get(store.identify(Squares())).folder / "stale.tmp").exists()


def test_two_processes_ask_for_the_same(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    workers = [run_apart(store, marks, pause=0.1) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert sorted(map(int, marks.read_text().split())) == list(range(8))
    assert len(list(store.artifacts())) == 1


def test_failed_stage_leaves_nothing_where_a_result_belongs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/full/disk")

    monkeypatch.setattr(Squares, "run", fail)
    with pytest.raises(SkysiftError, match="/full/disk: no space left on the disk"):
        store.run(Squares())
    assert not list(store.artifacts())


def test_a_refused_request_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RequestError("no such plane")

    monkeypatch.setattr(Squares, "run", refuse)
    with pytest.raises(RequestError, match="no such plane"):
        store.run(Squares())
    assert not list(store.partial.iterdir())


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "locked"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SkysiftError, match="no permission to write"):
        Store(tmp_path / "locked").run(Squares())


def test_references(store: Store) -> None:
    artifact = store.run(Squares())
    store.name(artifact.id[:6], "my-squares")
    assert store.get(artifact.id) == store.get(artifact.id[:5]) == store.get("my-squares") == artifact
    with pytest.raises(RequestError, match="No artifact 'nothing'"):
        store.get("nothing")
    with pytest.raises(RequestError, match="can't be a name"):
        store.name(artifact.id, "../up")
    with pytest.raises(RequestError, match="can't be a name"):
        store.name(artifact.id, "abcd")


def test_ambiguous_prefix(store: Store) -> None:
    for number in (1, 2):
        artifact = store.run(Squares(count=number))
        artifact.folder.rename(artifact.folder.with_name("abcdef" + artifact.id[6:]))
    with pytest.raises(RequestError, match="fits several artifacts"):
        store.get("abcdef")


def test_a_name_moves(store: Store) -> None:
    one, two = store.run(Squares(count=1)), store.run(Squares(count=2))
    assert store.name(one.id, "best") is None
    assert store.name(one.id, "best") == "best"
    with pytest.raises(RequestError, match=f"The name 'best' is that of squares {one.id[:12]}: .* --force"):
        store.name(two.id, "best")
    assert store.names() == {"best": one.id}
    store.name(two.id, "best", force=True)
    assert store.names() == {"best": two.id}
    assert store.name(two.id, "better") == "best"
    store.name(one.id, "best")
    (two.folder / "manifest.json").unlink()
    store.name(one.id, "better")
    assert store.names() == {"better": one.id}, "what is gone holds no name"


def test_verify_notices(store: Store) -> None:
    artifact = store.run(Squares())
    (artifact.folder / "squares.txt").write_text("0\n")
    (artifact.folder / "extra").write_text("")
    assert artifact.verify() == ["squares.txt: changed since it was made", "extra: not in the manifest"]
    (artifact.folder / "squares.txt").unlink()
    assert artifact.verify()[0] == "squares.txt: missing"


def test_lineage(store: Store) -> None:
    one, two = store.run(Squares(count=1)), store.run(Squares(count=2))
    total = store.run(Total(squares=(one.id, two.id)))
    assert set(lineage.ancestors(store, total.id)) == {one.id, two.id}
    assert set(lineage.descendants(store, one.id)) == {total.id}
    text = lineage.tree(store, total.id)
    assert f"squares {one.id[:12]}" in text
    assert "made from:" in text
    chart = lineage.mermaid(store, one.id)
    assert chart.startswith("graph TD")
    assert f"a{one.id[:12]} --> a{total.id[:12]}" in chart


def test_remove_refuses_what_is_needed(store: Store) -> None:
    squares = store.run(Squares())
    total = store.run(Total(squares=(squares.id,)))
    with pytest.raises(RequestError, match="is needed by total"):
        upkeep.remove(store, squares.id)
    upkeep.remove(store, squares.id, force=True)
    assert [a.id for a in store.artifacts()] == [total.id]
    assert lineage.ancestors(store, total.id) == {squares.id: None}
    assert "(removed)" in lineage.tree(store, total.id)


def test_collect_leaves_work_that_goes_on(store: Store, tmp_path: Path) -> None:
    worker = run_apart(store, tmp_path / "marks", pause=0.3)
    wait_for(lambda: (tmp_path / "marks").exists())
    abandoned = store.partial / ("ab" * 16)
    abandoned.mkdir()
    (abandoned / "data").write_bytes(b"x" * 100)
    found = upkeep.collect(store, dry_run=True)
    assert [(a.id, a.what, a.bytes) for a in found] == [("ab" * 16, "partial work", 100)]
    assert abandoned.exists()
    upkeep.collect(store)
    assert not abandoned.exists()
    assert worker.wait(60) == 0
    assert len(list(store.artifacts())) == 1


def test_collect_sweeps_logs_and_locks_of_what_is_gone(store: Store, tmp_path: Path) -> None:
    kept, gone = store.run(Squares(count=1)), store.run(Squares(count=2))
    for id_ in (kept.id, gone.id, "cd" * 16, "ef" * 16):
        (store.root / "logs" / id_).mkdir(parents=True)
        (store.root / "logs" / id_ / "events").write_bytes(b"x" * 50)
    (store.root / "logs" / ("ef" * 16)).rename(store.root / "logs" / store.identify(Squares(pause=0.3)))
    upkeep.remove(store, gone.id)
    locks, logs = store.root / ".locks", store.root / "logs"
    (locks / f"{'cd' * 16}.lock").touch()
    worker = run_apart(store, tmp_path / "marks", pause=0.3)
    wait_for(lambda: (tmp_path / "marks").exists())
    working = store.identify(Squares())
    before = {p: p.stat().st_mtime_ns for p in store.root.rglob("*") if working not in str(p)}
    found = [(a.id, a.what) for a in upkeep.collect(store, dry_run=True)]
    assert {p: p.stat().st_mtime_ns for p in store.root.rglob("*") if working not in str(p)} == before
    assert sorted(found) == sorted([("cd" * 16, "logs"), ("cd" * 16, "lock"), (gone.id, "lock")])
    assert [(a.id, a.what) for a in upkeep.collect(store)] == found
    assert {p.name for p in logs.iterdir()} == {kept.id, working}
    assert {p.stem for p in locks.iterdir()} == {kept.id, working}
    assert worker.wait(60) == 0
    assert [a.what for a in upkeep.collect(store)] == []
    assert store.run(Squares(count=2)).verify() == []


def test_relink(store: Store, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a.txt").write_text("content")
    artifact = store.run(Squares(files=(str(old),)))
    [fingerprint] = artifact.manifest["sources"]["files"]
    assert store.sources.locate(fingerprint) == str(old / "a.txt")
    old.rename(new)
    with pytest.raises(RequestError, match="skysift relink"):
        Store(store.root).sources.locate(fingerprint)
    with pytest.raises(RequestError, match="no file there has the content"):
        upkeep.relink(Store(store.root), artifact.id, tmp_path / "store")
    (new / "a.txt").rename(new / "renamed.dat")
    assert upkeep.relink(Store(store.root), artifact.id, new) == {fingerprint: str(new / "renamed.dat")}
    assert Store(store.root).sources.locate(fingerprint) == str(new / "renamed.dat")


def test_changed_source_is_noticed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("content")
    artifact = store.run(Squares(files=(str(path),)))
    path.write_text("CONTENT")
    os.utime(path, ns=(1, 1))
    with pytest.raises(RequestError, match="moved or changed"):
        Store(store.root).sources.locate(artifact.manifest["sources"]["files"][0])


def test_a_source_that_is_put_back_or_found_elsewhere_is_good_again(store: Store, tmp_path: Path) -> None:
    for name, text in (("a", "short"), ("b", "a longer text")):
        (tmp_path / f"{name}.txt").write_text(text)
    artifact = store.run(Squares(files=(str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))))
    [wanted] = [f for f, p in artifact.run["sources"].items() if p.endswith("b.txt")]
    (tmp_path / "b.txt").write_text("another text, longer still")
    for _ in range(2):
        with pytest.raises(RequestError, match=r"last seen at .*b\.txt"):
            store.sources.locate(wanted)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.txt").write_text("a longer text")
    assert upkeep.relink(Store(store.root), artifact.id, tmp_path / "elsewhere")[wanted].endswith("c.txt")
    (tmp_path / "elsewhere" / "c.txt").unlink()
    (tmp_path / "b.txt").write_text("a longer text")
    assert Store(store.root).sources.locate(wanted) == str(tmp_path / "b.txt")


def test_a_removed_artifact_has_no_name(store: Store) -> None:
    artifact = store.run(Squares())
    store.name(artifact.id, "mine")
    upkeep.remove(store, "mine")
    assert store.names() == {}


def test_fingerprints_are_cached(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("content")
    first = store.run(Squares(files=(str(path),)))
    monkeypatch.setattr("skysift.store.sources.file_digest", lambda _: pytest.fail("read again"))
    assert Store(store.root).run(Squares(files=(str(path),))) == first


def test_notebook_view_escapes(store: Store) -> None:
    artifact = store.run(Squares(masks="<script>"))
    html = artifact._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert artifact.id in html


def test_run_json_holds_what_may_differ(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    artifact = store.run(Squares(files=(str(tmp_path / "a.txt"),)))
    run = json.loads((artifact.folder / "run.json").read_text())
    assert list(run["sources"].values()) == [str(tmp_path / "a.txt")]
    assert run["packages"]["numpy"]
    assert str(tmp_path) not in (artifact.folder / "manifest.json").read_text()
