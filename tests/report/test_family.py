"""Who belongs to a report."""

from skysift.report.family import Family
from skysift.report.sections import lineage
from skysift.store.store import Store


def test_ancestors_through_the_encoder(chain):
    family = Family(chain.store, chain.evaluation.id)
    expected = [chain.cutouts, chain.features, chain.clusters, chain.subsample, chain.model, chain.labelled]
    assert family.ancestors == {a.id for a in expected}
    assert list(family.members) == [*(a.id for a in expected), chain.evaluation.id]
    assert family.nearest("features").id == chain.labelled.id
    assert [a.id for a in family.all("features")] == [chain.labelled.id, chain.features.id]
    assert family.nearest("pack") is None
    assert family.inputs(chain.labelled, "model").id == chain.model.id


def test_nearest_goes_both_ways(chain):
    family = Family(chain.store, chain.subsample.id)
    assert family.nearest("model").id == chain.model.id
    assert family.nearest("features").id == chain.features.id
    family = Family(chain.store, chain.model.id)
    assert family.inputs(family.nearest("evaluation"), "features").id == chain.labelled.id


def test_a_removed_parent_does_not_break_it(chain, tmp_path):
    import shutil

    shutil.copytree(chain.store.root, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "clusters")
    family = Family(Store(tmp_path / "store"), chain.subsample.id)
    assert chain.clusters.id in family.parents[chain.subsample.id]
    assert chain.clusters.id not in family.members
    assert "a" + chain.clusters.id[:12] not in lineage.mermaid(family)


def test_mermaid_has_every_edge(chain):
    lines = lineage.mermaid(Family(chain.store, chain.evaluation.id)).splitlines()
    assert lines[0] == "graph LR"
    assert f"    a{chain.model.id[:12]} --> a{chain.labelled.id[:12]}" in lines
    assert f"    a{chain.cutouts.id[:12]} --> a{chain.labelled.id[:12]}" in lines
    assert sum("-->" in line for line in lines) == 7
