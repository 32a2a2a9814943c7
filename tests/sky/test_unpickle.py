"""Pickled batches: what NumPy writes is read, whatever would run is not."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skysift.errors import RequestError, SkysiftError
from skysift.sky.formats.decoded import read_batch
from skysift.sky.formats.family import detect_format
from skysift.sky.formats.unpickle import read_plain_pickle
from skysift.sky.mosaic import inspect_mosaic, open_mosaic

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (4, 6, 6)).astype(np.uint8)


def content() -> dict[str, Any]:
    return {
        "batch_label": "training batch 1 of 7",
        "labels": [0, 5, 9, 1],
        "data": list(IMAGES),
        "filenames": list(np.sort(np.array([f"PNG/100_{i}.png" for i in range(4)]))),  # numpy's own texts
        "mean": np.float64(0.5),
        "whole": np.asfortranarray(RNG.normal(size=(3, 5))).astype(">f4"),
    }


@pytest.mark.parametrize("protocol", range(6))
def test_numpys_own_pickles_of_every_protocol(protocol: int) -> None:
    wanted = content()
    found = read_plain_pickle(pickle.dumps(wanted, protocol), "batch")
    assert list(found) == list(wanted)
    assert found["labels"] == [0, 5, 9, 1]
    assert found["filenames"] == [f"PNG/100_{i}.png" for i in range(4)]
    assert all(type(name) is str for name in found["filenames"])
    assert found["mean"] == 0.5
    np.testing.assert_array_equal(np.stack(found["data"]), IMAGES)
    np.testing.assert_array_equal(found["whole"], wanted["whole"])
    assert found["whole"].dtype == wanted["whole"].dtype


def test_older_numpy_and_python_2() -> None:
    """Module names before NumPy 2, and arrays whose bytes Python 2 wrote as text (opcode T, BINSTRING)."""
    raw = IMAGES[0].tobytes()
    text = (
        b"(dp1\nS'data'\np2\n(lp3\ncnumpy.core.multiarray\n_reconstruct\np4\n(cnumpy\nndarray\np5\n(I0\ntp6\nS'b'\np7\n"
        b"tp8\nRp9\n(I1\n(I6\nI6\ntp10\ncnumpy\ndtype\np11\n(S'u1'\np12\nI0\nI1\ntp13\nRp14\n(I3\nS'|'\np15\nNNNI-1\n"
        b"I-1\nI0\ntp16\nbI00\nT" + struct.pack("<I", len(raw)) + raw + b"tp17\nbasS'labels'\np18\n(lp19\nI7\nas."
    )
    pickletools.dis(text, out=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - a well-formed pickle
    found = read_plain_pickle(text, "batch")
    np.testing.assert_array_equal(found["data"][0], IMAGES[0])
    assert found["labels"] == [7]


class Evil:
    """What a malicious pickle holds: a call of its choice."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.parts = call, arguments

    def __reduce__(self) -> Any:
        return self.parts


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("call", [os.system, eval, exec, os.mkdir, np.load, np.save, getattr, np.array, object, dict])
def test_nothing_named_in_a_pickle_is_run(call: Any, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    argument = {os.system: f"touch {mark}", os.mkdir: str(mark)}.get(call, f"open({str(mark)!r}, 'w')")
    data = pickle.dumps({"labels": [1], "data": Evil(call, argument)}, protocol)
    with pytest.raises(RequestError, match=rf"asks to run \S*{call.__name__}.*is not read"):
        read_plain_pickle(data, "batch")
    assert not mark.exists()
    if call in (os.system, os.mkdir):  # the test itself: an ordinary reader would have run it
        pickle.loads(data)
        assert mark.exists()


def test_no_way_around_the_table_of_names(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    command = f"touch {mark}".encode()
    ways = {
        "a dotted name (protocol 4)": b"\x80\x04\x8c\x05numpy\x8c\x17ndarray.__class__.mro\x93.",
        "an instance (opcode i)": b"(S'" + command + b"'\nios\nsystem\n.",
        "a name built up of parts (opcode 93)": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x01a\x85R.",
        "calling what was read": b"\x80\x02U\x04evil)R.",
        "changing a stand-in": b"\x80\x02cnumpy\ndtype\n}U\x05_callU\x04evilsb.",
        "changing slots of a stand-in": b"\x80\x02cnumpy\ndtype\nN}U\x05_callU\x04evils\x86b.",
        "making an object of a stand-in (opcode 81)": b"\x80\x02cnumpy\nndarray\n)\x81.",
        "an extension": b"\x80\x02\x82\x01.",
        "a reference to elsewhere": b"Pnowhere\n.",
    }
    for way, data in ways.items():
        with pytest.raises((RequestError, SkysiftError)):
            print(way, read_plain_pickle(data, "batch"))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([{}, []], dtype=object), "instead of numbers|array of objects"),
        (np.zeros(2, dtype=[("a", "f4")]), "instead of numbers"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "instead of numbers"),
        ([[1, 2], [3]], "inside a list"),
        ({"a": {}}, "dict inside a list"),
        ({1, 2}, "asks to run builtins.set|set inside a list|asks to run __builtin__.set"),
    ],
)
def test_what_is_no_number_is_refused(value: Any, message: str) -> None:
    for protocol in (2, 4):
        with pytest.raises((RequestError, SkysiftError), match=message):
            read_plain_pickle(pickle.dumps({"data": value}, protocol), "batch")


def test_a_small_file_does_not_unfold_into_a_large_one() -> None:
    image = np.zeros(100_000, np.uint8)
    with pytest.raises(SkysiftError, match="unfolds to more bytes"):
        read_plain_pickle(pickle.dumps({"data": [image] * 1000}), "batch")


def test_damaged_files() -> None:
    data = pickle.dumps(content(), 4)
    for cut in range(1, len(data) - 1, 7):
        with pytest.raises(SkysiftError):
            read_plain_pickle(data[:cut], "batch")
    with pytest.raises(RequestError, match="holds a pickled list"):
        read_plain_pickle(pickle.dumps([1, 2]), "batch")


@pytest.mark.parametrize("protocol", range(6))
def test_batches_are_stacks_of_images(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(content(), protocol))
    assert detect_format(str(path)) == "batch"
    info = inspect_mosaic(str(path), plane=2)
    assert (info.planes, info.shape) == (4, (6, 6))
    with open_mosaic(info) as mosaic:
        np.testing.assert_array_equal(mosaic.read(0, 6, 0, 6), IMAGES[2].astype(np.float32))
        np.testing.assert_array_equal(mosaic.read(0, 6, 0, 6, plane=3), IMAGES[3].astype(np.float32))


def test_flat_rows_are_laid_out_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps({"data": IMAGES.reshape(4, 36), "fine_labels": [1, 2, 3, 4]}))
    np.testing.assert_array_equal(read_batch(str(path)).images, IMAGES)
    for wrong, message in (
        ({"data": IMAGES[:, :5], "labels": [1, 2, 3, 4]}, "not 4 square grey images"),
        ({"data": IMAGES, "labels": ["a", "b", "c", "d"]}, "no list of class numbers"),
        ({"images": IMAGES}, "without `data` and `labels`"),
        ({"data": IMAGES, "labels": [1, 2, 3, 4], "filenames": ["a"]}, "1 file names for 4 labels"),
        ({"data": ["a", "b"], "labels": [1, 2]}, "no arrays of numbers"),
    ):
        path.write_bytes(pickle.dumps(wrong))
        with pytest.raises(SkysiftError, match=message):
            read_batch(str(path))
