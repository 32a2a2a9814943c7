"""Pixels: virtual and packed are the same numbers, from any process, and changed mosaics are noticed."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from cutout_maps import header, noise, write_map

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts, Pack
from skysift.errors import RequestError, SkysiftError
from skysift.store import Artifact, Store
from skysift.store.work import Threads


@pytest.fixture
def maps(tmp_path: Path) -> list[str]:
    paths = []
    for i in range(3):
        pixels = noise(i, (200, 260))
        pixels[10:30, 5:9] = np.nan
        pixels[40, 41] = np.inf
        paths.append(write_map(tmp_path / f"m{i}.fits", pixels, ra=150.0 + i))
    return paths


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def boxes_of_many_sizes(tmp_path: Path, maps: list[str], store: Store) -> Artifact:
    from astropy.wcs import WCS

    rng = np.random.default_rng(3)
    rows = []
    for i in range(3):
        x, y = rng.uniform(0, 259, 20), rng.uniform(0, 199, 20)
        ra, dec = WCS(header(200, 260, ra=150.0 + i)).pixel_to_world_values(x, y)
        rows += [f"{a},{d},{s}" for a, d, s in zip(ra, dec, rng.uniform(10, 100, 20), strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["ra,dec,maj_arcsec", *rows]))
    return store.run(Cutouts(mosaics=tuple(maps), sources=str(tmp_path / "list.csv"), min_valid=0.3, min_size=8))


def truth(catalogue: Catalogue, store: Store, index: int) -> np.ndarray:
    from astropy.io import fits

    row = catalogue.table.slice(index, 1).to_pylist()[0]
    pixels = fits.getdata(store.sources.locate(row["mosaic"])).astype(np.float32)
    pixels[np.isinf(pixels)] = np.nan
    big = np.full((pixels.shape[0] + 400, pixels.shape[1] + 400), np.nan, np.float32)
    big[200:-200, 200:-200] = pixels
    y, x = row["y0"] + 200, row["x0"] + 200
    return big[y : y + row["height"], x : x + row["width"]]


def test_windows_of_one_size_come_stacked(maps: list[str], store: Store) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    source = PixelSource.open(made, store.sources.locate)
    catalogue = Catalogue.open(made)
    assert len(source) == len(catalogue)
    rows = np.random.default_rng(0).permutation(len(source))[:17]
    images = source.read(rows)
    assert isinstance(images, np.ndarray)
    assert images.shape == (17, 64, 64)
    assert images.dtype == np.float32
    for row, image in zip(rows, images, strict=True):
        np.testing.assert_array_equal(image, truth(catalogue, store, int(row)))
    np.testing.assert_array_equal(source.read([-1])[0], source.read([len(source) - 1])[0])
    assert len(source.read([])) == 0
    with pytest.raises(IndexError):
        source.read([len(source)])


def test_packed_and_virtual_are_the_same_numbers(tmp_path: Path, maps: list[str], store: Store) -> None:
    made = boxes_of_many_sizes(tmp_path, maps, store)
    virtual = PixelSource.open(made, store.sources.locate)
    pack = store.run(Pack(cutouts=made.id))
    packed = PixelSource.open(pack)
    assert pack.counts["pixels"] == int(np.prod(virtual.sizes, axis=1).sum())
    assert np.load(pack.path("pixels.npy"), mmap_mode="r").shape == (pack.counts["pixels"],)
    rows = np.random.default_rng(1).permutation(len(virtual))
    catalogue = Catalogue.open(pack)
    for row, a, b in zip(rows, virtual.read(rows), packed.read(rows), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, truth(catalogue, store, int(row)))
    for mosaic in maps:
        Path(mosaic).unlink()
    assert len(PixelSource.open(pack).read(rows)) == len(rows)  # a pack needs no mosaics


def test_a_stopped_pack_carries_on(
    maps: list[str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skysift.cutouts import pack as pack_module
    from skysift.cutouts import work

    monkeypatch.setattr(pack_module, "_TASK_PIXELS", 40_000)
    stage = Cutouts(mosaics=tuple(maps), window_size=(64,))
    whole = store.run(Pack(cutouts=store.run(stage).id))
    calls: list[int] = []
    copy = pack_module.pack_rows

    def dies(task, done: Path) -> None:
        calls.append(task.begin)
        if len(calls) == 3:
            raise KeyboardInterrupt
        copy(task, done)

    other = Store(tmp_path / "other")
    made = other.run(stage)
    monkeypatch.setattr(work, "pack_rows", dies)
    with pytest.raises(SkysiftError, match="carries on"):
        other.run(Pack(cutouts=made.id), engine=Threads(1))
    resumed = other.run(Pack(cutouts=made.id), engine=Threads(1))
    assert len(calls) > 4
    assert len(calls) == len(set(calls)) + 1
    for name in ("pixels.npy", "offsets.npy", "catalogue.parquet", "mosaics.parquet", "manifest.json"):
        assert resumed.path(name).read_bytes() == whole.path(name).read_bytes()


def test_a_pack_killed_while_it_moves_out_is_made_again(
    maps: list[str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    whole = PixelSource.open(store.run(Pack(cutouts=made.id))).read([0, 5])
    other = Store(tmp_path / "other")
    other.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))

    def dies(self: Catalogue, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "write", dies)
        with pytest.raises(SkysiftError, match="carries on"):
            other.run(Pack(cutouts=made.id))
    np.testing.assert_array_equal(PixelSource.open(other.run(Pack(cutouts=made.id))).read([0, 5]), whole)


def checksum(job: tuple[PixelSource, list[int]]) -> float:
    source, rows = job
    return float(np.nansum(source.read(rows), dtype=np.float64)) + 0 * os.getpid()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_other_processes_read_the_same(maps: list[str], store: Store, method: str) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    source = PixelSource.open(made, store.sources.locate)
    jobs = [(source, [i, len(source) - 1 - i]) for i in range(4)]
    here = [checksum(job) for job in jobs]  # the mosaics are open now: a fork inherits them
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(checksum, jobs)) == here
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(checksum, jobs * 10)) == here * 10
    assert len(pickle.dumps(source)) < 200 * len(source) + 20_000


def test_more_mosaics_than_are_kept_open(tmp_path: Path, store: Store) -> None:
    paths = [write_map(tmp_path / f"s{i}.fits", noise(i, (40, 40))) for i in range(40)]
    made = store.run(Cutouts(mosaics=tuple(paths), window_size=(32,), overlap=0.0))
    source = PixelSource.open(made, store.sources.locate)
    catalogue = Catalogue.open(made)
    for _ in range(2):
        images = source.read(np.arange(len(source))[::-1])
        for i in (0, 20, len(source) - 1):
            np.testing.assert_array_equal(images[len(source) - 1 - i], truth(catalogue, store, i))


def test_a_changed_mosaic_is_noticed(maps: list[str], store: Store) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    source = PixelSource.open(made, store.sources.locate)
    source.read([0])
    for path in maps:
        write_map(Path(path), noise(9, (200, 260)))
    with pytest.raises(RequestError, match=r"m\d\.fits has changed since its catalogue was made"):
        source.read([0])
    with pytest.raises(RequestError, match="relink"):
        PixelSource.open(made, store.sources.locate)


def test_a_moved_mosaic_is_found_again(maps: list[str], store: Store, tmp_path: Path) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    before = PixelSource.open(made, store.sources.locate).read([0, 1])
    (tmp_path / "new").mkdir()
    for path in maps:
        Path(path).rename(tmp_path / "new" / Path(path).name)
    with pytest.raises(RequestError, match="moved or changed"):
        PixelSource.open(made, store.sources.locate)
    store.sources.relink(made.manifest["sources"]["mosaics"], tmp_path / "new")
    np.testing.assert_array_equal(PixelSource.open(made, store.sources.locate).read([0, 1]), before)


def test_zeros_are_no_data_where_the_catalogue_says_so(tmp_path: Path, store: Store) -> None:
    pixels = noise(0, (100, 100))
    pixels[:, :20] = 0
    path = write_map(tmp_path / "m.fits", pixels)
    for asked in (True, False):
        made = store.run(Cutouts(mosaics=(path,), window_size=(64,), zero_is_nan=asked, min_valid=0.5))
        image = PixelSource.open(made, store.sources.locate).read([0])[0]
        assert np.isnan(image[:, :20]).all() == asked
        assert np.isfinite(image[:, 20:]).all()


def test_errors_of_packs(maps: list[str], store: Store, tmp_path: Path) -> None:
    made = store.run(Cutouts(mosaics=tuple(maps), window_size=(64,)))
    with pytest.raises(RequestError, match="locate"):
        PixelSource.open(made)
    pack = store.run(Pack(cutouts=made.id))
    np.save(pack.folder / "offsets.npy", np.arange(3))
    with pytest.raises(SkysiftError, match="don't fit"):
        PixelSource.open(pack)
    (pack.folder / "catalogue.parquet").write_bytes(b"no")
    with pytest.raises(SkysiftError, match="not a Parquet table"):
        PixelSource.open(pack)
