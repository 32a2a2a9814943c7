"""The sets in SKYSIFT_DATA, counted against their descriptions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.datasets.stages import Dataset
from skysift.store import Store

pytestmark = pytest.mark.realdata


def test_mirabest(tmp_path: Path, data_dir: Path) -> None:
    store = Store(tmp_path)
    path = data_dir / "mirabest" / "mirabest_train.npz"
    made = store.run(Dataset(source=str(path), label_map=("FR-I=0..4", "FR-II=5..7")))
    with np.load(path) as archive:
        labels, images = archive["labels"], archive["images"]
    assert made.counts["rows"] == int((labels <= 7).sum())
    assert made.counts["unmapped"] == int((labels > 7).sum())
    sizes = json.loads(made.path("classes.json").read_text())
    assert sizes == {
        "classes": ["FR-I", "FR-II"],
        "counts": [int((labels <= 4).sum()), int(((labels > 4) & (labels <= 7)).sum())],
    }
    rows = [0, 500, len(Catalogue.open(made)) - 1]
    found = PixelSource.open(made, store.sources.locate).read(rows)
    planes = Catalogue.open(made).column("plane")[rows]
    np.testing.assert_array_equal(found, images[planes].astype(np.float32))


def test_mirabest_fields(tmp_path: Path, data_dir: Path) -> None:
    store = Store(tmp_path)
    made = store.run(Dataset(source=str(data_dir / "first"), label_map="mirabest-confident"))
    names = [path.name[:3] for path in (data_dir / "first").glob("*.fits.gz")]
    sizes = json.loads(made.path("classes.json").read_text())
    first, second = (sum(name in classes for name in names) for classes in (("100", "102", "104"), ("200", "201")))
    assert sizes == {"classes": ["FR-I", "FR-II"], "counts": [first, second]}
    catalogue = Catalogue.open(made)
    assert set(catalogue.column("width")) == {150}
    assert catalogue.table.column("ra").null_count == 0


def test_mgcls(tmp_path: Path, data_dir: Path) -> None:
    store = Store(tmp_path)
    path = data_dir / "mgcls" / "mgcls.npz"
    made = store.run(Dataset(source=str(path), columns=("label=score",)))
    assert made.counts["rows"] == 1689
    assert made.counts["unlabelled"] == 1689 - 489
    catalogue = Catalogue.open(made)
    with np.load(path) as archive:
        np.testing.assert_allclose(catalogue.column("ra"), archive["ra"] % 360)
        assert catalogue.labels == [[str(s)] if s > 0 else [] for s in archive["score"]]
    assert catalogue.table.column("healpix29").null_count == 0


def test_mnist_by_name(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYSIFT_DATASETS", str(data_dir))
    store = Store(tmp_path)
    made = store.run(Dataset(source="mnist"))
    assert made.counts == {"rows": 10000, "classes": 10, "unlabelled": 0, "off_map": 0}
    raw = gzip.decompress((data_dir / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert [entry[0] for entry in Catalogue.open(made).labels] == [str(label) for label in raw]


def test_first_components_as_labelled_positions(tmp_path: Path, data_dir: Path) -> None:
    """Positions of the table on the fields, the artefact flag as label."""
    lines = (data_dir / "first" / "components.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    table = "\n".join(f"{r[3]},{r[4]},{'artefact' if float(r[5]) > 0.5 else 'real'}" for r in rows)
    (tmp_path / "t.csv").write_text("ra,dec,label\n" + table)
    store = Store(tmp_path / "store")
    made = store.run(Dataset(source=str(tmp_path / "t.csv"), mosaics=(str(data_dir / "first"),), window_size=32))
    assert made.counts["off_map"] == 0
    assert made.counts["rows"] <= 520
    assert made.counts["rows"] > 500
