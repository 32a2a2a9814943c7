"""The survey joins what is known about the same cutouts."""

from __future__ import annotations

import numpy as np
import pytest

from skysift.app.survey import Survey
from skysift.errors import RequestError


def test_the_newest_features_are_opened(survey, small_store):
    assert survey.base.id == small_store.features.id
    assert len(survey) == small_store.features.rows == len(survey.ids)
    assert survey.features.array.shape == (len(survey), 16)


def test_columns_join_scores_clusters_and_selection(survey, small_store):
    raw = np.linalg.norm(np.asarray(survey.features.array) - np.asarray(survey.features.array).mean(0), axis=1)
    np.testing.assert_allclose(survey.columns["odd: knn_raw"], raw, rtol=1e-5)
    assert survey.columns["balanced: kept"].sum() == small_store.subsample.rows == 60
    fine, coarse = survey.columns["tree: level 1"], survey.columns["tree: level 2"]
    assert fine.max() < 12
    assert coarse.max() < 4
    for cluster in np.unique(fine):
        assert len(np.unique(coarse[fine == cluster])) == 1
    assert survey.units["ra"] == "deg"
    assert survey.columns.is_text("labels")
    assert not survey.columns.is_text("snr")


def test_projection_is_in_the_order_of_the_rows(survey):
    points = survey.projections["plane"]
    centred = np.asarray(survey.features.array) - np.asarray(survey.features.array).mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    np.testing.assert_allclose(points, centred @ axes.T, atol=1e-4)


def test_rows_by_id(survey):
    rows = np.array([5, 0, len(survey) - 1])
    assert [survey.row_of(str(i)) for i in survey.ids[rows]] == rows.tolist()
    assert survey.rows_of(survey.ids[rows].tolist()).tolist() == rows.tolist()
    assert survey.rows_of(["f" * 16]).tolist() == [-1]


@pytest.mark.parametrize("wrong", ["", "../../x", "zz" * 8, "f" * 16, "0" * 15, "<script>", "０" * 16])
def test_unknown_ids_are_refused(survey, wrong):
    with pytest.raises(RequestError, match="no cutout"):
        survey.row_of(wrong)


@pytest.mark.parametrize("kind", ["features", "anomalies", "projection", "clusters", "subsample"])
def test_any_kind_opens_its_features(small_store, kind, tmp_path):
    opened = Survey(small_store.store, getattr(small_store, kind).id, ledger=str(tmp_path / "l.sqlite"))
    assert opened.base.id == small_store.features.id
    assert opened.opened.kind == kind


def test_cutouts_open_without_features(small_store, tmp_path):
    opened = Survey(small_store.store, small_store.cutouts.id, ledger=str(tmp_path / "l.sqlite"))
    assert opened.features is None
    assert "odd: knn" in opened.columns
    assert opened.columns["odd: knn"].shape == (len(opened),)


def test_an_empty_store_says_what_to_do(tmp_path):
    from skysift.store.store import Store

    with pytest.raises(RequestError, match="skysift cutouts"):
        Survey(Store(tmp_path / "nothing"))
