"""The benchmark's section, its figures as files, and the commands that make it again."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from skysift.cli.program import main
from skysift.evaluation.benchmark.scores import Scores
from skysift.evaluation.benchmark.stages import Benchmark
from skysift.readable import measured
from skysift.report import build_report, figures
from skysift.report.blocks import Picture, Table
from skysift.report.commands import script
from skysift.report.family import Family
from skysift.report.figures import style
from skysift.report.figures.differences import Difference
from skysift.report.sections import benchmark as section
from skysift.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Figures of few pixels: what is asserted here does not depend on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def made(chain, tmp_path_factory) -> Any:
    """A benchmark of two encoders on two sets, which are one under two names."""
    root = tmp_path_factory.mktemp("benchmark")
    shutil.copytree(chain.store.root, root / "store")
    store = Store(root / "store")
    stage = Benchmark(
        features=(chain.features.id, chain.labelled.id) * 2,
        encoder_of=("raw, plain", "model") * 2,
        dataset_of=("one", "one", "two", "two"),
        tasks=(
            {"dataset": "one", "cell_order": 11},
            {"dataset": "two", "cell_order": 11, "test_fraction": 0.4},
        ),
        fractions=(1, 0.5),
        draws=2,
        baseline="model",
    )
    return SimpleNamespace(store=store, stage=stage, artifact=store.run(stage), root=root)


def test_tables_are_the_scores(made):
    blocks = section.make(Family(made.store, made.artifact.id)).blocks
    means, tests = [b for b in blocks if isinstance(b, Table)][1:]
    found = Scores.open(made.artifact).estimate("raw, plain", "two", "linear", 1.0, "macro_f1")
    assert means.header[4] == "two: macro F1"
    assert means.rows[0][4] == measured(found.mean, found.error)
    assert {row[2] for row in tests.rows} == {"raw, plain"}
    assert len(tests.rows) == 4
    alts = [b.alt for b in blocks if isinstance(b, Picture)]
    each = ["F1 per class {}", "confusion {} knn", "confusion {} linear", "label fraction {}"]
    assert alts == ["differences from the baseline", *(t.format(d) for d in ("one", "two") for t in each)]


def test_confusion_of_a_set_is_the_sum_over_draws(made):
    page = section.Page(made.artifact)
    classes = page.summary["datasets"]["two"]["classes"]
    matrix = page._matrix("model", "two", "knn", classes)
    support = [page.scores.values("model", "two", "knn", 1.0, "support", label).sum() for label in classes]
    np.testing.assert_array_equal(matrix.sum(axis=1), support)
    recall = page.scores.values("model", "two", "knn", 1.0, "recall", classes[0])
    weights = page.scores.values("model", "two", "knn", 1.0, "support", classes[0])
    assert matrix[0, 0] == pytest.approx((recall * weights).sum())


def test_figures_are_saved_twice_the_same(made, tmp_path):
    for name in ("a", "b"):
        build_report(made.store, made.artifact.id, tmp_path / f"{name}.html", figures=tmp_path / name)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert {"benchmark-f1-per-class-one.png", "benchmark-f1-per-class-one.svg"} <= set(names)
    assert len([n for n in names if n.startswith("benchmark-")]) == 18
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "benchmark-label-fraction-two.svg").read_text().count("<svg") == 1
    assert (tmp_path / "a.html").read_text() == (tmp_path / "b.html").read_text()


def test_the_commands_make_the_same_artifact(made, tmp_path, monkeypatch, capsys):
    """The last command of the script, with the file that it writes before, gives the id of the benchmark."""
    text = script(Family(made.store, made.artifact.id))
    file, content, words = re.search(
        r"cat > (\S+) <<'END'\n(.*?)END\nBENCHMARK=\$\((.*?)\)\n", text, flags=re.DOTALL
    ).groups()
    (tmp_path / file).write_text(content)
    ids = dict(zip(re.findall(r'"\$(FEATURES\d*)"', words), made.stage.features, strict=False))
    given = [ids.get(word.removeprefix("$"), word) for word in shlex.split(words.replace("\\\n", " "))]
    monkeypatch.chdir(tmp_path)
    assert main([*given[1:], "--store", str(made.store.root), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == made.artifact.id


def test_filled_where_it_differs():
    panels = {"set": {"knn": [Difference(0.1, 0.05, 0.15, True), Difference(0.0, None, None, False)]}}
    axes = figures.draw_differences(["a", "b"], panels, baseline="c", score="macro F1").axes[0]
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [to_rgba(p.get_markerfacecolor()) == to_rgba("white") for p in points] == [False, True]
    assert axes.get_xlabel() == "macro F1 minus c"


def test_label_fractions_run_from_few_to_all():
    curves = {"kNN": {"a": [(0.9, 0.01), (0.5, None)], "b": [(0.8, 0.01), (None, None)]}}
    axes = figures.draw_label_fraction((1.0, 0.1), curves).axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.1", "1"]
    assert axes.get_xscale() == "log"


def test_many_confusion_matrices_wrap():
    matrix = np.diag([3, 2])
    figure = figures.draw_confusion([(f"e{i}", matrix) for i in range(7)], ["a", "b"])
    shown = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(shown) == 7
    assert len({round(axes.get_position().y0, 3) for axes in shown}) <= 7
    assert {axes.get_subplotspec().get_geometry()[:2] for axes in shown} == {(3, 3)}
