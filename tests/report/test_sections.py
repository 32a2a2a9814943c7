"""Numbers in sections, against what the artifacts hold."""

import json

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skysift.cutouts.catalogue import Catalogue
from skysift.metrics.balance import gini
from skysift.readable import measured
from skysift.report.blocks import Picture, Table
from skysift.report.data import load_tree
from skysift.report.family import Family
from skysift.report.numbers import count, plain
from skysift.report.sections import clusters, embedding, evaluation, footprint, selection


@pytest.fixture(scope="module")
def family(chain):
    return Family(chain.store, chain.evaluation.id)


def tables(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def test_tree_composes_levels(chain, family):
    tree = load_tree(family)
    first, second = (np.load(chain.clusters.path(f"level_{n}_assign.npy")) for n in (1, 2))
    np.testing.assert_array_equal(tree.top, second[first])
    assert tree.n_clusters == [12, 4]
    assert tree.kept.sum() == 60
    assert set(np.bincount(tree.levels[0][tree.kept])) == {5}
    assert tree.subsample.id == chain.subsample.id


def test_balance_table(family):
    (table,) = tables(clusters.make(family))
    tree = load_tree(family)
    assert table.header[4] == "Gini"
    assert float(table.rows[0][4]) == pytest.approx(gini(tree.sizes(0)), abs=5e-4)
    assert table.rows[0][6:] == ["0.000", "1.000"]


def test_labels_before_and_after(family):
    counted, labels = tables(selection.make(family))
    assert counted.rows[0][0] == "cutouts"
    tree = load_tree(family)
    flat = np.array([entry[0] for entry in tree.catalogue.labels])
    for name, before, _, after, share, enrichment in labels.rows:
        assert before == count((flat == name).sum())
        assert after == count((flat[tree.kept] == name).sum())
        assert float(share) == pytest.approx(100 * (flat[tree.kept] == name).mean(), abs=0.01)
        expected = (flat[tree.kept] == name).mean() / (flat == name).mean()
        assert float(enrichment) == pytest.approx(expected, abs=0.006)


def test_area_of_the_footprint(chain, family):
    """Two fields of 320 x 320 pixels of 1.5 arcsec, less the 24 x 24 pixels that only dropped windows covered."""
    section = footprint.make(family)
    picture = next(block for block in section.blocks if isinstance(block, Picture))
    area = float(picture.caption.split("covering ")[1].split()[0])
    blank = np.isnan(np.asarray(Catalogue.open(chain.cutouts).column("ra"))).sum()
    assert blank == 0
    assert area == pytest.approx(2 * (320 * 1.5 / 60) ** 2, rel=0.03)
    (table,) = tables(section)
    assert sum(int(row[-1]) for row in table.rows) == 60
    assert table.rows[0][4] == "6 × 5"


def test_projection_equals_scikit_learn():
    values = np.random.default_rng(0).normal(size=(200, 6)) * [1, 2, 3, 4, 5, 6] + 7
    places, shares = embedding.project(values)
    oracle = PCA(2).fit(values)
    np.testing.assert_allclose(np.abs(places), np.abs(oracle.transform(values)), atol=1e-8)
    np.testing.assert_allclose(shares, oracle.explained_variance_ratio_)
    flat, shares = embedding.project(np.ones((4, 1)))
    assert flat.shape == (4, 2)
    assert (flat == 0).all()
    assert (shares == 0).all()


def test_scores_are_those_of_the_artifact(chain, family):
    overall, per_class, compared = tables(evaluation.make(family))
    metrics = json.loads(chain.evaluation.path("metrics.json").read_text())
    found = metrics["protocols"]["linear"]["overall"]["accuracy"]
    assert overall.rows[1][:2] == ["linear probe", measured(found["mean"], found["error"])]
    assert len(per_class.rows) == 6
    assert {row[1] for row in compared.rows} == {f"model {chain.model.id[:8]} (this report)", "timm:fake<b>"}
    notes = evaluation.make(family).blocks[0].text
    assert f"{sum(d['dropped_overlapping'] for d in metrics['draws'])} test windows were dropped" in notes


def test_numbers():
    assert count(1234567) == "1\u2009234\u2009567"
    assert plain({"a": [1, 2.5], "b": None, "c": True}) == "a: 1, 2.5, b: –, c: true"
    assert plain({"batch_norm": False, "name": "simclr", "temperature": 0.1}) == (
        "simclr (batch_norm: false, temperature: 0.1)"
    )
    assert plain({"name": "simclr"}) == "simclr"
