"""Writing an array in blocks, with kills in between."""

from pathlib import Path

import numpy as np
import pytest

from skysift.errors import SkysiftError
from skysift.tables import RowWriter


def values(rows: range) -> np.ndarray:
    return np.arange(rows.start * 3, rows.stop * 3, dtype=np.float32).reshape(-1, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_blocks_in_any_order_give_the_file_that_numpy_writes(dtype: str, tmp_path: Path) -> None:
    writer = RowWriter(tmp_path / "a.npy", (10, 3), dtype, block=4)
    assert writer.missing == [0, 1, 2]
    for number in (2, 0, 1):
        writer.write(number, values(writer.rows(number)))
    writer.publish(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", values(range(10)).astype(dtype))
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["b.npy", "c.npy"]


def test_carries_on_after_a_kill(tmp_path: Path) -> None:
    first = RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4)
    first.write(1, values(first.rows(1)))
    with (tmp_path / "a.npy.blocks").open("a") as journal:
        journal.write("\n2")  # killed while it wrote this line
    again = RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4)
    assert again.missing == [0, 2]
    for number in again.missing:
        again.write(number, values(again.rows(number)))
    assert RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4).missing == []
    again.publish(tmp_path / "b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), values(range(10)))


def test_killed_before_the_file_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.npy.new").write_bytes(b"half")
    (tmp_path / "a.npy.blocks").write_text("\n0;")
    assert RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4).missing == [0, 1, 2]


def test_refuses_what_does_not_fit(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4)
    with pytest.raises(ValueError, match=r"shape \(4, 3\), not \(2, 3\)"):
        writer.write(2, values(range(4)))
    with pytest.raises(SkysiftError, match="3 of 3 blocks"):
        writer.publish(tmp_path / "b.npy")
    with pytest.raises(SkysiftError, match="remove it"):
        RowWriter(tmp_path / "a.npy", (11, 3), "float32", block=4)
    (tmp_path / "a.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(SkysiftError, match="damaged"):
        RowWriter(tmp_path / "a.npy", (10, 3), "float32", block=4)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RowWriter(tmp_path / "a.npy", (4, 3), "float32", block=4)
    (tmp_path / "a.npy").unlink()
    (tmp_path / "a.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        writer.write(0, values(range(4)))
    assert writer.missing == [0]
