"""LightGBM finds the features that tell interesting cutouts from ordinary ones."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from skysift.discovery.selection import importance
from skysift.discovery.selection.importance import find_importance


def labelled(n=800, seed=0):
    rng = np.random.default_rng(seed)
    interesting = rng.random(n) < 0.3
    features = rng.standard_normal((n, 12)).astype(np.float32)
    features[:, 7] += 2.0 * interesting
    features[:, 2] -= 1.0 * interesting
    return features, interesting


def test_planted_features_come_first():
    features, interesting = labelled()
    found = find_importance(features, interesting, np.arange(len(features)), seed=0)
    assert found.order[:2].tolist() == [7, 2]
    assert found.gain[7] > 3 * found.gain[2] > 9 * np.delete(found.gain, [2, 7]).max()
    assert np.all(np.diff(found.gain[found.order]) <= 0)
    assert (found.gain[found.order] > 0).all()
    assert found.leaf == 20
    assert not found.notes
    fresh, truth = labelled(seed=1)
    assert ((found.probability(fresh) > 0.5) == truth).mean() > 0.85


def test_equal_to_lightgbm_s_own_estimator(monkeypatch):
    features, interesting = labelled()
    monkeypatch.setattr(importance, "_divide", lambda *_: (np.arange(600), np.arange(600, 800)))
    found = find_importance(features, interesting, np.arange(800), seed=0)
    reference = lightgbm.LGBMClassifier(
        n_estimators=500,
        max_depth=2,
        num_leaves=32,
        min_child_samples=20,
        importance_type="gain",
        n_jobs=1,
        verbosity=-1,
        deterministic=True,
        force_row_wise=True,
    ).fit(
        features[:600],
        interesting[:600],
        eval_X=features[600:],
        eval_y=interesting[600:],
        callbacks=[lightgbm.early_stopping(20, verbose=False)],
    )
    assert found.rounds == reference.best_iteration_ < 500
    np.testing.assert_allclose(found.gain, reference.feature_importances_, rtol=1e-9)
    np.testing.assert_allclose(found.probability(features), reference.predict_proba(features)[:, 1], rtol=1e-9)


def test_twice_the_same_and_other_with_another_seed():
    features, interesting = labelled(200)
    first, again, other = (find_importance(features, interesting, np.arange(200), seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.gain, again.gain)
    assert not np.array_equal(first.gain, other.gain)


def test_few_labels_make_small_leaves_and_say_so():
    rng = np.random.default_rng(0)
    interesting = np.arange(40) < 15
    features = rng.standard_normal((40, 5)).astype(np.float32)
    features[interesting, 4] += 3
    found = find_importance(features, interesting, np.arange(40), seed=0)
    assert found.order[0] == 4
    assert found.leaf == 3
    assert any("a leaf of LightGBM may hold 3 cutouts" in note for note in found.notes)


def test_one_group_leaves_nothing_to_stop_early_by():
    features, interesting = labelled(60)
    found = find_importance(features, interesting, np.zeros(60, int), seed=0)
    assert found.rounds == importance.UNCHECKED_ROUNDS
    assert any("stop LightGBM early" in note for note in found.notes)


def test_noise_gives_no_order():
    constant = np.ones((100, 3), np.float32)
    assert not len(find_importance(constant, np.arange(100) % 2 == 0, np.arange(100), seed=0).order)


@pytest.mark.parametrize("seed", range(3))
def test_what_stops_the_boosting_shares_no_group(seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 25, 200)
    fit, stop = importance._divide(rng.random(200) < 0.3, group, seed)
    assert len(stop)
    assert not set(group[fit]) & set(group[stop])
    assert sorted([*fit, *stop]) == list(range(200))
