from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from skysift.curation.transform import Transform
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.discovery.ranking import normalised_ranks
from skysift.discovery.scores import KNN, IslandCount, PixelStd
from skysift.discovery.stages import Anomalies
from skysift.errors import RequestError, Stopped
from skysift.store.artifact import Artifact
from skysift.store.store import Store
from skysift.store.work import Threads
from tests.discovery.scores.conftest import Made, Measured

FEATURES_ONLY = ("isolation-forest", "knn", "lof")


def scores_of(artifact: Artifact) -> dict[str, np.ndarray]:
    table = pq.read_table(artifact.path("scores.parquet"))
    return {name: table[name].to_numpy() for name in table.column_names}


def files(artifact: Artifact) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(artifact.folder.iterdir()) if p.is_file() and p.name != "run.json"}


def test_stages_import_nothing_heavy() -> None:
    code = (
        "import sys, skysift.discovery.stages, skysift.discovery.scores, skysift.discovery; "
        "print([m for m in ('torch', 'scipy', 'pyarrow', 'numpy', 'sklearn', 'dask', 'astropy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_score_that_can_be_asked_for_is_there() -> None:
    from typing import get_args

    from skysift.discovery.scores.work import MAKERS
    from skysift.discovery.scores.write import MEANING
    from skysift.discovery.stages import SECONDS_A_ROW, ScoreName

    assert set(get_args(ScoreName)) == set(MAKERS) == set(MEANING) == set(SECONDS_A_ROW)


def test_a_ranking_of_features(store: Store) -> None:
    features = store.run(Made())
    found = store.run(Anomalies(features=features.id, score=FEATURES_ONLY))
    columns = scores_of(found)
    assert list(columns) == [
        *("cutout_id", "isolation_forest", "isolation_forest_raw", "knn", "knn_raw", "lof", "lof_raw"),
        *("ensemble", "rank"),
    ]
    assert set(columns["rank"][[7, 50]]) == {1, 2}
    assert sorted(columns["rank"]) == list(range(1, 121))
    assert columns["ensemble"].max() == 1
    x = np.load(features.path("features.npy"))
    raw = KNN(5).of_features(Transform.fit(x, "standardise")(x))  # type: ignore[misc]
    np.testing.assert_allclose(columns["knn_raw"], raw, rtol=1e-6)
    np.testing.assert_allclose(columns["knn"], normalised_ranks(raw), atol=1e-6)
    mean = np.mean([columns[name.replace("-", "_")] for name in FEATURES_ONLY], axis=0)
    assert (np.argsort(columns["rank"])[:20] == np.argsort(-mean, kind="stable")[:20]).mean() > 0.8
    catalogue = Catalogue.open(found)
    assert catalogue.column("cutout_id").tolist() == columns["cutout_id"].tolist()
    assert catalogue.table.equals(Catalogue.open(features).table)
    assert found.counts == {"rows": 120, "scores": 3, "sizes": 1, "features": 1}


def test_scores_of_pixels_are_those_of_the_cutouts(store: Store, measured: Artifact) -> None:
    found = store.run(Anomalies(features=measured.id, score=("pixel-std", "islands", "complexity", "som"), map_side=3))
    columns = scores_of(found)
    images = list(PixelSource.open(measured, store.sources.locate).read(range(165)))
    np.testing.assert_allclose(columns["pixel_std_raw"], PixelStd().of_pixels(images), rtol=1e-6)
    np.testing.assert_array_equal(columns["islands_raw"], IslandCount().of_pixels(images))
    assert np.isfinite(columns["complexity_raw"]).all()
    assert columns["som_raw"].min() > 0
    assert len(np.unique(columns["som"])) == 165


def test_window_sizes_are_ranked_apart_and_merged(store: Store) -> None:
    both = store.run(Made(n=200, others=80, odd=(7, 150)))
    columns = scores_of(store.run(Anomalies(features=both.id, score=("knn",))))
    assert set(columns["rank"][[7, 150]]) == {1, 2}, "each the first of its size"
    x = np.load(both.path("features.npy"))
    small = x[120:]
    alone = KNN(5).of_features(Transform.fit(small, "standardise")(small))  # type: ignore[misc]
    np.testing.assert_allclose(columns["knn_raw"][120:], alone, rtol=1e-6)
    np.testing.assert_allclose(columns["knn"][120:], normalised_ranks(alone), atol=1e-6)


def test_several_features_are_merged_whatever_their_order(store: Store) -> None:
    large, small = store.run(Made()), store.run(Made(side=32, seed=1, odd=(20,)))
    found = store.run(Anomalies(features=(large.id, small.id), score=("knn",)))
    assert store.run(Anomalies(features=(small.id, large.id), score=("knn",))).id == found.id
    columns = scores_of(found)
    assert len(columns["rank"]) == 240
    ids = {a.id: Catalogue.open(a).column("cutout_id").tolist() for a in (large, small)}
    top = set(columns["cutout_id"][np.argsort(columns["rank"])[:4]])
    assert {ids[large.id][7], ids[large.id][50], ids[small.id][20]} < top
    best = set(columns["cutout_id"][np.argsort(columns["rank"])[:2]])
    assert ids[small.id][20] in best
    assert len(best & {ids[large.id][7], ids[large.id][50]}) == 1


def test_features_of_several_encoders_are_averaged(store: Store) -> None:
    first, second = store.run(Made(seed=0)), store.run(Made(seed=1, odd=(7, 90)))
    parts = [scores_of(store.run(Anomalies(features=a.id, score=("knn",)))) for a in (first, second)]
    columns = scores_of(store.run(Anomalies(features=(first.id, second.id), score=("knn",))))
    assert len(columns["rank"]) == 120
    row = {name: i for i, name in enumerate(columns["cutout_id"])}
    order = [row[name] for name in parts[0]["cutout_id"]]
    np.testing.assert_allclose(columns["knn"][order], (parts[0]["knn"] + parts[1]["knn"]) / 2, atol=1e-6)
    assert columns["rank"][order][7] == 1


def test_a_votable_of_the_first(store: Store) -> None:
    from astropy.io.votable import parse_single_table

    found = store.run(Anomalies(features=store.run(Made()).id, score=("knn",)))
    table = parse_single_table(found.path("anomalies.vot"))
    assert table.array["rank"].tolist() == list(range(1, 121))
    columns = scores_of(found)
    assert str(table.array["cutout_id"][0]) == columns["cutout_id"][columns["rank"].argmin()]
    assert {"ra", "dec", "knn", "knn_raw", "ensemble"} <= set(table.array.dtype.names)


def test_equal_bytes_for_any_number_of_workers(tmp_path: Path, mosaic: Path) -> None:
    made = []
    for workers in (1, 2):
        other, engine = Store(tmp_path / str(workers)), Threads(workers)
        cutouts = other.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5), engine=engine)
        features = other.run(Measured(cutouts=cutouts.id), engine=engine)
        request = Anomalies(features=features.id, score=(*FEATURES_ONLY, "som", "pixel-std"), map_side=3)
        made.append(other.run(request, engine=engine))
    assert made[0].id == made[1].id
    assert files(made[0]) == files(made[1])


def test_a_stopped_run_carries_on_after_its_last_score(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    features = store.run(Made())
    request = Anomalies(features=features.id, score=FEATURES_ONLY)
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 1

    with pytest.raises(Stopped):
        store.run(request, should_stop=stop)

    def never(*_: object) -> None:
        raise AssertionError("the isolation forest was finished")

    monkeypatch.setattr("skysift.discovery.scores.isolation_forest.IsolationForest.of_features", never)
    columns = scores_of(store.run(request))
    assert set(columns["rank"][[7, 50]]) == {1, 2}


def test_the_seed_decides(store: Store) -> None:
    features = store.run(Made())
    first, second = (
        scores_of(store.run(Anomalies(features=features.id, score=("isolation-forest",), seed=seed))) for seed in (0, 1)
    )
    assert not np.array_equal(first["isolation_forest_raw"], second["isolation_forest_raw"])


def test_constant_features_tell_nobody_apart(store: Store) -> None:
    columns = scores_of(store.run(Anomalies(features=store.run(Made(spoil="constant")).id, score=FEATURES_ONLY)))
    for name in FEATURES_ONLY:
        np.testing.assert_allclose(columns[name.replace("-", "_")], 0.5)
    ids = columns["cutout_id"]
    assert ids[np.argsort(columns["rank"])].tolist() == sorted(ids)


@pytest.mark.parametrize(
    ("made", "options", "text"),
    [
        ({"spoil": "nan"}, {"score": ("knn",)}, r"2 of 120 rows hold NaN or infinite values \(the first is row 3\)"),
        ({"n": 5, "odd": (1,)}, {"score": ("knn",)}, "5 neighbours need at least 6 cutouts"),
        ({"n": 15, "odd": (1,)}, {"score": ("lof",)}, "20 neighbours needs at least 21 cutouts"),
        ({"n": 1, "odd": (0,)}, {"score": ("isolation-forest",)}, "at least two cutouts"),
        ({}, {"score": ("reconstruction",)}, "has no decoder"),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    store: Store, made: dict[str, object], options: dict[str, object], text: str
) -> None:
    features = store.run(Made(**made))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=text):
        store.run(Anomalies(features=features.id, **options))  # type: ignore[arg-type]


def test_options_that_do_not_fit_are_refused() -> None:
    for options in ({"score": ("best",)}, {"score": ()}, {"components": 5}, {"max_samples": 1.5}, {"threshold": 0}):
        with pytest.raises(ValidationError):
            Anomalies(features="0" * 32, **options)  # type: ignore[arg-type]
    assert Anomalies(features="0" * 32, score=("knn", "isolation-forest", "knn")).score == ("isolation-forest", "knn")
