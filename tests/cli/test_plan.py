"""`skysift run` with a plan: what can't be is refused before any work, and --dry-run leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from skysift.cli.program import main

CHAIN = """
stages:
  cutouts: {{mosaics: {survey}/mosaics, window_size: 32}}
  features: {{cutouts: cutouts, encoder: "timm:test_resnet", weights: random, image_size: 32}}
  tree: {{stage: cluster, features: features, levels: [{levels}]}}
  subset: {{stage: subsample, clusters: tree, target_size: {target}}}
"""


def write(folder: Path, survey: Path, *, levels: str = "12, 3", target: int = 40) -> Path:
    path = folder / "chain.yaml"
    path.write_text(CHAIN.format(survey=survey, levels=levels, target=target))
    return path


def test_a_plan_marks_bounds_and_touches_nothing(
    survey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, survey)
    store = tmp_path / "store"
    assert main(["run", str(path), "--dry-run", "--store", str(store)]) == 0
    head, cutouts, features, tree, subset, note = capsys.readouterr().out.splitlines()
    end = head.index("ROWS") + 4
    assert [line[end - 12 : end].strip() for line in (cutouts, features, tree, subset)] == ["≤ 450"] * 3 + ["40"]
    assert note.startswith("≤ at most")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chain.yaml"]


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["plan", "run"])
@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        ({"target": 451}, 6, "target size 451 is larger than the set of 450 cutouts; ask for at most 450 (450 is"),
        ({"levels": "451, 3"}, 5, "levels 451,3: level 1 asks for 451 clusters of the 450 points"),
        ({"levels": "3, 12"}, 5, "levels must fall from the finest to the coarsest, as in 1000,100,10, not 3,12"),
    ],
)
def test_what_can_not_be_is_refused_before_any_work(
    wrong: dict[str, object],
    line: int,
    says: str,
    dry: list[str],
    survey: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path, survey, **wrong)  # type: ignore[arg-type]
    assert main(["run", str(path), "--store", str(tmp_path / "store"), *dry]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"skysift: error: {path}:{line}: stage ")
    assert says in said.err
    assert not (tmp_path / "store").exists()
