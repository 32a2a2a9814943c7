"""What commands are told and tell: examples that parse, hints, names, filters, companions."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from skysift.cli.legacy import modernise
from skysift.cli.program import build_app, main
from skysift.cli.running import Session
from skysift.cli.stages import COMMANDS as STAGE_COMMANDS
from skysift.cli.stages import make
from skysift.store import Stage, Store
from tests.store.toys import Squares, Total

APP = build_app()
COMMANDS = sorted(name for name in APP if not name.startswith("-"))


def examples(command: str) -> list[str]:
    """The command lines that the help of a command shows."""
    block = re.search(r"```sh\n(.*?)\n```", APP[command].help_epilogue or "", re.DOTALL)
    return block[1].splitlines() if block else []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_can_be_given(command: str) -> None:
    assert examples(command), f"{command} has no example"
    for line in examples(command):
        program, *words = shlex.split(line, comments=True)
        assert program == "skysift"
        tokens = modernise(words)
        found, _, _ = APP.parse_args(tokens, exit_on_error=False, print_error=False)
        meant = APP[tokens[0]]
        assert found is (meant.default_command or meant[tokens[1]].default_command)
    assert any(shlex.split(line)[1] == command for line in examples(command))


@pytest.mark.parametrize("command", sorted(name for name, command in STAGE_COMMANDS.items() if command.run is make))
def test_the_options_of_every_example_fit_the_stage(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests: list[Stage] = []
    monkeypatch.setattr(Session, "run", lambda _, stage: requests.append(stage))
    monkeypatch.setattr(Session, "show", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    lines = [line for line in examples(command) if "--config" not in line]
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        for name in {word.rstrip("/") for word in words if "*" not in word and not word.startswith("-")}:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()  # a labelled set is looked for by its name
        assert main(words) == 0, capsys.readouterr().err
    assert len(requests) == len(lines)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("cutouts x --window-sise 3", "See `skysift cutouts --help`."),
        ("assign a b c", "See `skysift assign --help`."),
        ("rm", "See `skysift rm --help`."),
        ("nonsense", "See `skysift --help`."),
        ("--nonsense", "See `skysift --help`."),
    ],
)
def test_hints_name_the_help_that_helps(words: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(hint)


def test_assign_takes_two_without_names() -> None:
    _, bound, _ = APP.parse_args(["assign", "08be", "5d02"], exit_on_error=False, print_error=False)
    assert bound.arguments == {"clusters": "08be", "features": "5d02"}


def test_levels_that_do_not_fall_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "5d01", "--levels", "5,20", "--store", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    says = "levels must fall from the finest to the coarsest, as in 1000,100,10, not 5,20."
    assert line == f"skysift: error: skysift cluster: {says}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_ls_takes_a_kind(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    squares = store.run(Squares())
    total = store.run(Total(squares=(squares.id,)))
    at = ("--store", str(store.root))
    for words in (["ls", "total"], ["ls", "--kind", "total"]):
        assert main([*words, *at]) == 0
        assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == [total.id[:12]]
    store.name(squares.id, "the-squares-of-the-first-eight-numbers")
    assert main(["ls", *at]) == 0
    assert len({len(line) for line in capsys.readouterr().out.splitlines()}) == 1, "in columns"
    assert main(["ls", "totals", *at]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"no totals in {store.root}; there are squares, total\n"


def test_names_do_not_move_by_themselves(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = store.run(Squares(count=1)), store.run(Squares(count=2))
    at = ("--store", str(store.root))
    assert main(["name", one.id, "best", *at]) == 0
    assert capsys.readouterr().err == ""
    assert main(["name", two.id, "best", *at]) == 2
    assert f"is that of squares {one.id[:12]}" in capsys.readouterr().err
    assert main(["name", two.id, "best", "--force", *at]) == 0
    assert main(["name", two.id, "second", *at]) == 0
    assert capsys.readouterr().err == "it was named best before\n"
    assert store.names() == {"second": two.id}


def test_show_mentions_companions(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
        (tmp_path / f"{name}_mask").write_text(f"mask of {name}")
    artifact = store.run(Squares(files=(str(tmp_path / "*.txt"),), masks=str(tmp_path / "{stem}_mask")))
    at = ("--store", str(store.root))
    assert main(["show", artifact.id, *at]) == 0
    sections = re.split(r"^  (?=\w)", capsys.readouterr().out, flags=re.MULTILINE)
    [shown] = [section for section in sections if section.startswith("masks of each source")]
    paths = {fingerprint[:12]: path for fingerprint, path in artifact.run["sources"].items()}
    lines = [line.split() for line in shown.splitlines()[1:]]
    assert {owner: Path(mask).name for owner, mask in lines} == {
        owner: f"{Path(path).stem}_mask" for owner, path in paths.items()
    }
    run = artifact.folder / "run.json"
    run.write_text(json.dumps({k: v for k, v in json.loads(run.read_text()).items() if k != "companions"}))
    assert main(["show", artifact.id, *at]) == 0
    assert "masks of each source" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_demo_prints_the_page_or_the_manifests(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(store: Store, out: Path, **_: object) -> dict[str, object]:
        return {"few": store.run(Squares(count=2)), "score": store.run(Squares(count=3))}

    monkeypatch.setattr("skysift.pipeline.demonstration.run_demo", short)
    monkeypatch.setattr("skysift.report.build.build_report", lambda store, id_, page, **_: page)
    assert main(["demo", "--out", str(tmp_path / "demo"), "--quiet", *words]) == 0
    said = capsys.readouterr()
    assert "The report is file://" in said.err
    if words:
        assert {name: entry["counts"] for name, entry in json.loads(said.out).items()} == {
            "few": {"rows": 2},
            "score": {"rows": 3},
        }
    else:
        assert said.out == f"{tmp_path / 'demo' / 'report.html'}\n"
