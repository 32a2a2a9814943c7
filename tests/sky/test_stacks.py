"""Image stacks and pictures through the same reader as mosaics."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from skysift.errors import RequestError, SkysiftError
from skysift.sky import inspect_mosaic, open_mosaic
from skysift.sky.formats.family import detect_format


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 6)).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def save(tmp_path, kind: str, images: np.ndarray) -> str:
    path = tmp_path / f"stack.{kind}"
    if kind == "npy":
        np.save(path, images)
    elif kind == "fortran.npy":
        np.save(path, np.asfortranarray(images))
    elif kind == "npz":
        np.savez(path, images=images, labels=np.arange(len(images)))
    elif kind == "small.npz":
        np.savez_compressed(path, images=images)
    else:
        path.write_bytes(idx(images) if kind == "idx" else gzip.compress(idx(images)))
    return str(path)


@pytest.mark.parametrize("kind", ["npy", "fortran.npy", "npz", "small.npz", "idx", "idx.gz"])
def test_stack(tmp_path, images, kind):
    path = save(tmp_path, kind, images)
    info = inspect_mosaic(path, plane=3)
    assert (info.shape, info.planes, info.plane, info.hdu, info.wcs) == ((5, 6), 7, 3, 0, None)
    assert info.format == kind.replace(".gz", "").split(".")[-1]
    with open_mosaic(info) as mosaic:
        assert_array_equal(mosaic.read(0, 5, 0, 6), images[3])
        for plane in range(7):
            assert_array_equal(mosaic.read(1, 4, 2, 6, plane=plane), images[plane, 1:4, 2:])
        whole = np.tile([0, 0, 6, 5], (7, 1))
        order = [5, 5, 0, 6, 1, 2, 3]
        got = mosaic.read_many(whole, planes=order)
        assert got.dtype == np.float32
        assert_array_equal(got, images[order])
        assert_array_equal(pickle.loads(pickle.dumps(mosaic)).read(0, 5, 0, 6), images[3])
        assert np.isnan(mosaic.read(-1, 0, 0, 6)).all()
    with pytest.raises(RequestError, match="no image 7; choose one from 0 to 6"):
        inspect_mosaic(path, plane=7)
    with pytest.raises(RequestError, match="without HDUs"):
        inspect_mosaic(path, hdu=1)


def test_numbers_and_colours(tmp_path):
    rng = np.random.default_rng(1)
    for name, array, want in [
        ("single", rng.normal(size=(4, 3)), lambda a: a),
        ("bool", rng.normal(size=(1, 4, 3)) > 0, lambda a: a[0]),
        ("big-endian", rng.normal(size=(2, 4, 3)).astype(">f8"), lambda a: a[0]),
        ("grey", rng.normal(size=(2, 4, 3, 1)), lambda a: a[0, ..., 0]),
        ("colour", rng.integers(0, 255, (2, 4, 3, 3), dtype=np.uint8), lambda a: a[0] @ [0.299, 0.587, 0.114]),
    ]:
        np.save(tmp_path / "a.npy", array)
        with open_mosaic(str(tmp_path / "a.npy")) as mosaic:
            assert_allclose(mosaic.read(0, 4, 0, 3), want(array), rtol=1e-6, err_msg=name)
            assert_allclose(mosaic.read_many([[0, 0, 3, 4]])[0], want(array), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "png"), ("RGB", "png"), ("RGB", "jpeg"), ("L", "jpeg"), ("P", "png"), ("1", "png")]
)
def test_pictures_equal_pillow(tmp_path, mode, kind):
    data = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    path = tmp_path / f"p.{kind}"
    Image.fromarray(data).convert(mode).save(path)
    info = inspect_mosaic(str(path))
    assert (info.format, info.shape, info.planes) == ("picture", (8, 9), 1)
    with open_mosaic(info) as mosaic, Image.open(path) as picture:
        assert_allclose(mosaic.read(0, 8, 0, 9), np.asarray(picture.convert("L"), np.float32), atol=0.51)


def test_deep_and_transparent_pictures(tmp_path):
    deep = np.array([[0, 40000], [65535, 7]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with open_mosaic(str(tmp_path / "deep.png")) as mosaic:
        assert_array_equal(mosaic.read(0, 2, 0, 2), deep)
    for mode in ("RGBA", "LA"):
        channels = np.full((2, 2, len(mode)), 80, np.uint8)
        channels[0, 1, -1] = 0
        Image.fromarray(channels, mode=mode).save(tmp_path / "clear.png")
        with open_mosaic(str(tmp_path / "clear.png")) as mosaic:
            assert_allclose(mosaic.read(0, 2, 0, 2), [[80, np.nan], [80, 80]], atol=1e-4)


def test_bad_stacks(tmp_path, images):
    np.savez(tmp_path / "other.npz", pictures=images)
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "line.npy", np.arange(5))
    np.save(tmp_path / "complex.npy", np.ones((3, 3), complex))
    np.save(tmp_path / "none.npy", np.empty((0, 3, 3)))
    with pytest.raises(RequestError, match=r"other\.npz holds pictures but no array `images`"):
        inspect_mosaic(str(tmp_path / "other.npz"))
    for name, message in [
        ("object", "Python objects"),
        ("line", r"shape \(5,\)"),
        ("complex", "complex"),
        ("none", "shape"),
    ]:
        with pytest.raises(RequestError, match=rf"{name}\.npy holds .*{message}"):
            inspect_mosaic(str(tmp_path / f"{name}.npy"))
    for kind in ("npy", "npz", "small.npz", "idx", "idx.gz"):
        path = save(tmp_path, kind, images)
        with Path(path).open("r+b") as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.truncate(size - 9)
        with pytest.raises(SkysiftError, match=r"truncated|damaged"):
            inspect_mosaic(path)
    (tmp_path / "head.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "head.idx").write_bytes(b"\x00\x00\x08\x03\x00")
    (tmp_path / "head.png").write_bytes(b"\x89PNG\r\n\x1a\n123")
    for name in ("head.npy", "head.idx", "head.png"):
        with pytest.raises(SkysiftError, match=name):
            inspect_mosaic(str(tmp_path / name))
    Image.fromarray(images[0]).save(tmp_path / "p.png")
    with pytest.raises(RequestError, match="single picture"):
        inspect_mosaic(str(tmp_path / "p.png"), plane=1)


def test_formats_are_told_by_content(tmp_path, images):
    path = tmp_path / "misnamed.fits"
    path.write_bytes(gzip.compress(idx(images)))
    assert detect_format(str(path)) == "idx"


@pytest.mark.realdata
def test_real_stacks(data_dir):
    with np.load(data_dir / "mirabest" / "mirabest_train.npz") as archive:
        truth = archive["images"]
    info = inspect_mosaic(str(data_dir / "mirabest" / "mirabest_train.npz"))
    assert (info.shape, info.planes) == ((150, 150), 1099)
    with open_mosaic(info) as mosaic:
        for plane in (0, 500, 1098):
            assert_array_equal(mosaic.read(0, 150, 0, 150, plane=plane), truth[plane])
    info = inspect_mosaic(str(data_dir / "mnist" / "t10k-images-idx3-ubyte.gz"))
    assert (info.shape, info.planes) == ((28, 28), 10000)
    raw = np.frombuffer(gzip.decompress((data_dir / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    with open_mosaic(info) as mosaic:
        windows = np.tile([0, 0, 28, 28], (10000, 1))
        assert_array_equal(mosaic.read_many(windows, planes=np.arange(10000)), raw.reshape(-1, 28, 28))
