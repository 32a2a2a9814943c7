"""What the report says of a ranking, against what the artifact holds."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.datasets.stages import Dataset
from skysift.discovery.stages import Anomalies
from skysift.report import build_report
from skysift.report.blocks import Note, Picture, Table
from skysift.report.family import Family
from skysift.report.figures import style
from skysift.report.figures.score_histograms import LabelHistogram, draw_score_histograms
from skysift.report.sections import anomalies
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store
from skysift.store.work import Threads
from tests.report.conftest import make_mosaics


@pytest.fixture(scope="module", autouse=True)
def _coarse():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        yield


class BlockFeatures(Stage):
    """Means of 16 blocks of pixels."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input()]

    def run(self, context: Any) -> dict[str, Any]:
        artifact = context.input(self.cutouts)
        source: Any = PixelSource.open(artifact, context.locate)
        images = np.nan_to_num(np.asarray(source.read(np.arange(len(source)))))
        side = images.shape[1] // 4
        features = images.reshape(len(images), 4, side, 4, side).mean(axis=(2, 4)).reshape(len(images), -1)
        Catalogue.open(artifact).write(context.folder)
        np.save(context.folder / "features.npy", features.astype(np.float32))
        described = {"dim": 16, "rows": len(images), "dtype": "float32", "encoder": "blocks"}
        (context.folder / "features.json").write_text(json.dumps(described))
        return {"rows": len(images)}


LABELS = {"dull": "<b>dull</b> $x$", "odd": "odd"}
REQUEST = {"trees": 20, "top": (2, 3), "interesting": (LABELS["odd"],), "ordinary": (LABELS["dull"],)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a scan of a labelled set, in which a fifth has a bright row, and a plain ranking of mosaics."""
    folder = tmp_path_factory.mktemp("anomalies")
    rng = np.random.default_rng(0)
    odd = np.arange(200) % 5 == 0
    images = rng.normal(0, 0.3, (200, 24, 24)).astype(np.float32)
    images[np.flatnonzero(odd)[:, None], 8, np.arange(24)] += 3
    np.savez(folder / "set.npz", images=images, labels=np.where(odd, LABELS["odd"], LABELS["dull"]))
    store = Store(folder / "store")
    features = store.run(BlockFeatures(cutouts=store.run(Dataset(source=str(folder / "set.npz"))).id))
    request = Anomalies(features=features.id, own_labels=True, scan=True, score=("isolation-forest", "knn"), **REQUEST)
    store.name(store.run(request, engine=Threads(1)).id, "labelled")
    cutouts = store.run(Cutouts(mosaics=tuple(map(str, make_mosaics(folder / "mosaics", 1, 160))), window_size=(32,)))
    features = store.run(BlockFeatures(cutouts=cutouts.id))
    store.name(store.run(Anomalies(features=features.id, score="isolation-forest"), engine=Threads(1)).id, "plain")
    return store


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_table_at_the_crossing(store):
    artifact = store.get("labelled")
    section = anomalies.make(Family(store, artifact.id))
    agreement, crossing = blocks(section, Table)
    rows = pq.read_table(artifact.path("crossing.parquet")).to_pylist()
    rows.sort(key=lambda row: -row["average_precision"])
    assert [cells[2] for cells in crossing.rows] == [str(row["selected"]) for row in rows]
    for cells, row in zip(crossing.rows, rows, strict=True):
        assert cells[0].startswith(anomalies.title(row["score"]))
        for text, name in zip(cells[3:6], ("recall", "precision", "contamination"), strict=True):
            assert float(text.split()[0]) == pytest.approx(row[name], abs=0.006)
        assert float(cells[6]) == pytest.approx(1 - row["contamination"], abs=6e-4)
    chosen = json.loads(artifact.path("selection.json").read_text())["chosen"]
    assert [cells[0] for cells in crossing.rows if "(chosen)" in cells[0]] == [f"{anomalies.title(chosen)} (chosen)"]
    columns = pq.read_schema(artifact.path("scores.parquet")).names
    assert len(agreement.rows) == sum(name.endswith("_raw") for name in columns) >= 4
    assert agreement.rows[[r[0] for r in agreement.rows].index(anomalies.title(chosen))][1:] == ["1.00", "100 %"]


def test_pictures_and_words_of_a_selection(store):
    section = anomalies.make(Family(store, "labelled"))
    assert [block.alt for block in blocks(section, Picture)] == [
        "most anomalous cutouts",
        "most anomalous cutouts of each score",
        "scores by label",
        "recall, precision and contamination against the threshold",
        "average precision of the forests of the scan",
    ]
    assert all(block.width <= style.PAGE_WIDTH for block in blocks(section, Picture))
    text = " ".join(block.text for block in blocks(section, Note))
    summary = json.loads(store.get("labelled").path("selection.json").read_text())
    taught, held = summary["selection"], summary["held_out"]
    assert taught["interesting"] + held["interesting"] == 40
    assert "200 cutouts have labels" in text
    assert f"{taught['interesting']} interesting from {taught['ordinary']} ordinary ones" in text
    assert f"measured on {held['interesting']} interesting, {held['ordinary']} ordinary and 0 other" in text


def test_a_ranking_without_labels_has_no_table_of_them(store):
    section = anomalies.make(Family(store, "plain"))
    assert [block.alt for block in blocks(section, Picture)] == ["most anomalous cutouts"]
    assert not blocks(section, Table)
    assert "no label was used" in blocks(section, Note)[0].text


def test_shown_windows_share_no_pixel_and_are_the_first_that_do_not(store):
    artifact = store.get("plain")
    catalogue = Catalogue.open(artifact)
    rank = pq.read_table(artifact.path("scores.parquet")).column("rank").to_numpy()
    rows, passed = anomalies.apart(catalogue, np.argsort(rank), 5)
    corners = catalogue.windows[:, :2]
    expected: list[int] = []
    gone = 0
    for row in np.argsort(rank):
        if all(np.abs(corners[row] - corners[other]).max() >= 32 for other in expected):
            expected.append(int(row))
        if len(expected) == 5:
            break
        gone += int(row) != expected[-1]
    assert rows.tolist() == expected
    assert passed == gone > 0


def test_the_page_is_whole_and_labels_are_escaped(store, tmp_path):
    page = build_report(store, "labelled", tmp_path / "page.html").read_text()
    assert 'id="anomalies"' in page
    assert "<b>dull</b>" not in page
    assert "&lt;b&gt;dull&lt;/b&gt;" in page


def test_without_the_images_there_are_words(store, tmp_path):
    (path,) = (store.root.parent / "mosaics").iterdir()
    moved = path.rename(tmp_path / path.name)
    try:
        section = anomalies.make(Family(store, "plain"))
    finally:
        moved.rename(path)
    assert not blocks(section, Picture)
    assert any(block.warning and "No pictures" in block.text for block in blocks(section, Note))


def test_histograms_are_scaled_to_their_own_maximum():
    rows = [
        LabelHistogram("a", "interesting", np.array([0, 2, 8])),
        LabelHistogram("b", "ordinary", np.array([0, 0, 0])),
    ]
    figure = draw_score_histograms(rows, np.array([0.0, 0.3, 0.6, 1.0]), 0.5)
    first, second = (patch.get_data() for patch in figure.axes[0].patches)
    np.testing.assert_allclose(first.values - first.baseline, [0, 0.215, 0.86])
    np.testing.assert_allclose(second.values - second.baseline, 0)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["b", "a"]
