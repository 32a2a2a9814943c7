"""Reading memory-mapped features."""

import json
from pathlib import Path

import numpy as np
import pytest

from skysift.errors import RequestError, SkysiftError
from skysift.tables import FeatureTable


def make(folder: Path, dtype: str = "float32", rows: int = 10) -> np.ndarray:
    array = np.random.default_rng(0).normal(size=(rows, 4)).astype(dtype)
    np.save(folder / "features.npy", array)
    (folder / "features.json").write_text(json.dumps({"rows": rows, "dim": 4, "dtype": dtype, "encoder": {}}))
    return array


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_chunks_and_rows_are_the_arrays(dtype: str, tmp_path: Path) -> None:
    array = make(tmp_path, dtype)
    table = FeatureTable.open(tmp_path)
    assert (len(table), table.dim) == (10, 4)
    assert isinstance(table.array, np.memmap)
    assert table.array.dtype == dtype
    chunks = list(table.iter_chunks(4))
    assert [len(c) for c in chunks] == [4, 4, 2]
    assert all(c.dtype == np.float32 and not isinstance(c, np.memmap) for c in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), array.astype(np.float32))
    np.testing.assert_array_equal(table.take([7, 0, 7, 3]), array[[7, 0, 7, 3]].astype(np.float32))
    assert table.take([]).shape == (0, 4)
    assert table.catalogue_path == tmp_path / "catalogue.parquet"


def test_it_can_not_be_written_to(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        FeatureTable.open(tmp_path).array[0] = 1


def test_rows_that_are_not_there(tmp_path: Path) -> None:
    make(tmp_path)
    table = FeatureTable.open(tmp_path)
    with pytest.raises(IndexError, match="rows 3 to 10 of 10"):
        table.take([3, 10])
    with pytest.raises(IndexError):
        table.take([-1])
    with pytest.raises(ValueError, match="chunks of 0"):
        next(table.iter_chunks(0))


def test_no_features_and_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="`skysift features` made"):
        FeatureTable.open(tmp_path)
    make(tmp_path)
    (tmp_path / "features.json").write_text('{"rows": 9, "dim": 4, "dtype": "float32"}')
    with pytest.raises(SkysiftError, match=r"\(10, 4\) float32 where features.json says \(9, 4\)"):
        FeatureTable.open(tmp_path)
    (tmp_path / "features.json").write_text('{"rows": 10}')
    with pytest.raises(SkysiftError, match="damaged"):
        FeatureTable.open(tmp_path)
    make(tmp_path)
    path = tmp_path / "features.npy"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SkysiftError, match="damaged"):
        FeatureTable.open(tmp_path)
