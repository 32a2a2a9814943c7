"""Every form of labelled set: what is read, in which order, with which labels and pixels."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts, Merge, Pack
from skysift.datasets.stages import Dataset
from skysift.errors import RequestError, SkysiftError
from skysift.store import Artifact, Store
from skysift.store.digest import file_digest
from skysift.store.work import Threads


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def classes(artifact: Artifact) -> dict[str, int]:
    content = json.loads(artifact.path("classes.json").read_text())
    return dict(zip(content["classes"], content["counts"], strict=True))


def pictures(count: int, shape: tuple[int, int] = (20, 24)) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape)).astype(np.uint8)


def write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray, *, zipped: bool) -> None:
    folder.mkdir(exist_ok=True)
    for name, kind, array in ((f"{part}-images-idx3-ubyte", 3, images), (f"{part}-labels-idx1-ubyte", 1, labels)):
        data = bytes([0, 0, 8, kind]) + struct.pack(f">{kind}I", *array.shape) + array.astype(np.uint8).tobytes()
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)


def write_fits(path: Path, pixels: np.ndarray, ra: float = 40.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (ra, 20.0), (pixels.shape[1] / 2, pixels.shape[0] / 2)
    wcs.wcs.cdelt = -2 / 3600, 2 / 3600
    fits.writeto(path, pixels.astype(np.float32), wcs.to_header(), overwrite=True)
    return wcs


def test_npz(tmp_path: Path, store: Store) -> None:
    images = pictures(6)
    np.savez(
        tmp_path / "set.npz",
        images=images,
        labels=np.array([2, 10, -1, 2, 0, 10]),
        ra=np.array([10, np.nan, 30, 40, 50, 400.0]),
        dec=np.zeros(6),
        split=np.array(["train", "train", "test", "test", "train", "train"]),
    )
    made = store.run(Dataset(source=str(tmp_path / "set.npz")))
    catalogue = Catalogue.open(made)
    assert made.counts == {"rows": 6, "classes": 3, "unlabelled": 1, "off_map": 0}
    assert classes(made) == {"0": 1, "2": 2, "10": 2}  # natural order
    assert catalogue.labels == [["2"], ["10"], [], ["2"], ["0"], ["10"]]
    assert catalogue.column("plane").tolist() == list(range(6))
    assert catalogue.mosaics.num_rows == 1
    np.testing.assert_array_equal(catalogue.column("ra"), [10, np.nan, 30, 40, 50, 40])
    assert catalogue.table.column("healpix29").null_count == 1
    assert catalogue.column("split").tolist() == ["train", "train", "test", "test", "train", "train"]
    np.testing.assert_array_equal(catalogue.column("peak"), images.max(axis=(1, 2)))
    source = PixelSource.open(made, store.sources.locate)
    np.testing.assert_array_equal(source.read([4, 0, 5]), images[[4, 0, 5]].astype(np.float32))
    np.testing.assert_array_equal(PixelSource.open(store.run(Pack(cutouts=made.id))).read([3]), images[[3]])


def test_npz_with_class_names_and_several_labels(tmp_path: Path, store: Store) -> None:
    several = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], np.uint8)
    np.savez(tmp_path / "a.npz", images=pictures(3), classes=np.array(["Z", "B", "A"]), several=several)
    made = store.run(Dataset(source=str(tmp_path / "a.npz")))
    assert Catalogue.open(made).labels == [["Z", "A"], [], ["B"]]
    assert list(classes(made)) == ["Z", "B", "A"]  # the set's own order
    np.savez(tmp_path / "b.npz", images=pictures(3), classes=np.array(["Z", "B"]), labels=np.array([1, 0, 1]))
    assert Catalogue.open(store.run(Dataset(source=str(tmp_path / "b.npz")))).labels == [["B"], ["Z"], ["B"]]


def test_another_array_of_labels(tmp_path: Path, store: Store) -> None:
    np.savez(tmp_path / "s.npz", images=pictures(3), score=np.array([5, -1, 1]))
    with pytest.raises(RequestError, match=r"no array 'labels'.*score"):
        store.run(Dataset(source=str(tmp_path / "s.npz")))
    made = store.run(Dataset(source=str(tmp_path / "s.npz"), columns=("label=score",)))
    assert Catalogue.open(made).labels == [["5"], [], ["1"]]


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_and_a_folder_by_name(
    tmp_path: Path, store: Store, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    images, labels = pictures(7, (9, 8)), np.array([3, 1, 4, 1, 5, 9, 2])
    write_idx(sets / "digits", "train", images[:4], labels[:4], zipped=zipped)
    write_idx(sets / "digits", "t10k", images[4:], labels[4:], zipped=zipped)
    monkeypatch.setenv("SKYSIFT_DATASETS", str(sets))
    made = store.run(Dataset(source="digits"))
    catalogue = Catalogue.open(made)
    found = PixelSource.open(made, store.sources.locate).read(np.arange(7))
    truth = {image.tobytes(): str(label) for image, label in zip(images.astype(np.float32), labels, strict=True)}
    assert [truth[image.tobytes()] for image in found] == [entry[0] for entry in catalogue.labels]
    assert sorted(catalogue.column("split")) == ["test"] * 3 + ["train"] * 4
    assert catalogue.mosaics.num_rows == 2
    one = store.run(Dataset(source=str(next((sets / "digits").glob("t10k-images*")))))
    assert [entry[0] for entry in Catalogue.open(one).labels] == ["5", "9", "2"]
    assert Catalogue.open(one).table.column("split").null_count == 3


def test_labels_beside_idx_images_enter_the_id(tmp_path: Path, store: Store) -> None:
    ids = []
    for labels in ([1, 2], [2, 1]):
        write_idx(tmp_path / "d", "t10k", pictures(2), np.array(labels), zipped=False)
        ids.append(store.identify(Dataset(source=str(tmp_path / "d" / "t10k-images-idx3-ubyte"))))
    assert ids[0] != ids[1]
    (tmp_path / "d" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(RequestError, match="put t10k-labels-idx1-ubyte"):
        store.run(Dataset(source=str(tmp_path / "d" / "t10k-images-idx3-ubyte")))


def test_folder_of_classes(tmp_path: Path, store: Store) -> None:
    images = pictures(5, (16, 16))
    for i, name in enumerate(["spiral", "spiral", "elliptical", "10", "2"]):
        folder = tmp_path / "set" / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i]).save(folder / f"i{i}.png")
    write_fits(tmp_path / "set" / "2" / "f.fits", np.ones((30, 40)))
    Image.fromarray(images[0]).save(tmp_path / "set" / "elliptical" / "same-as-i0.png")
    made = store.run(Dataset(source=str(tmp_path / "set")))
    catalogue = Catalogue.open(made)
    assert list(classes(made)) == ["2", "10", "elliptical", "spiral"]
    assert made.counts["rows"] == 6  # one picture is in two classes
    assert sorted(catalogue.labels) == [["10"], ["2"], ["2"], ["elliptical"], ["elliptical", "spiral"], ["spiral"]] or (
        ["spiral", "elliptical"] in catalogue.labels
    )
    source = PixelSource.open(made, store.sources.locate)
    sizes = {tuple(size) for size in source.sizes.tolist()}
    assert sizes == {(16, 16), (30, 40)}
    truth = {image.astype(np.float32).tobytes() for image in images} | {np.ones((30, 40), np.float32).tobytes()}
    assert {np.ascontiguousarray(image).tobytes() for image in source.read(np.arange(6))} == truth
    assert catalogue.table.column("ra").null_count == 5  # the FITS file has a WCS


def test_folder_with_splits(tmp_path: Path, store: Store) -> None:
    images = iter(pictures(8, (8, 8)))
    for part in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / "set" / part / name
            folder.mkdir(parents=True)
            for i in range(2):
                Image.fromarray(next(images)).save(folder / f"{i}.png")
    catalogue = Catalogue.open(store.run(Dataset(source=str(tmp_path / "set"))))
    pairs = sorted(zip(catalogue.column("split"), [entry[0] for entry in catalogue.labels], strict=True))
    assert pairs == [("test", "a")] * 2 + [("test", "b")] * 2 + [("train", "a")] * 2 + [("train", "b")] * 2


@pytest.mark.parametrize("form", ["csv", "parquet", "vot"])
def test_table_of_paths(tmp_path: Path, store: Store, form: str) -> None:
    from astropy.table import Table

    images = pictures(4, (12, 12))
    (tmp_path / "img").mkdir()
    for i in range(4):
        Image.fromarray(images[i]).save(tmp_path / "img" / f"{i}.png")
    table = Table({"file": [f"img/{i}.png" for i in range(4)], "Class": ["FR-I", "FR-II", "FR-I;bent", "FR-II"]})
    path = tmp_path / f"labels.{form}"
    table.write(path, format={"csv": "ascii.csv", "parquet": "parquet", "vot": "votable"}[form])
    made = store.run(Dataset(source=str(path)))
    source = PixelSource.open(made, store.sources.locate)
    truth = {image.astype(np.float32).tobytes(): label for image, label in zip(images, table["Class"], strict=True)}
    for image, labels in zip(source.read(np.arange(4)), Catalogue.open(made).labels, strict=True):
        assert ";".join(labels) == truth[image.tobytes()]
    before = store.identify(Dataset(source=str(path)))
    Image.fromarray(255 - images[0]).save(tmp_path / "img" / "0.png")
    assert store.identify(Dataset(source=str(path))) != before  # pictures enter the id by content
    (tmp_path / "img" / "2.png").unlink()
    with pytest.raises(RequestError, match=r"names img/2\.png"):
        store.run(Dataset(source=str(path)))


def test_table_of_positions_on_maps(tmp_path: Path, store: Store) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.standard_normal((200, 220)).astype(np.float32) for _ in range(2)]
    wcs = [write_fits(tmp_path / f"m{i}.fits", pixels, ra=40.0 + i) for i, pixels in enumerate(maps)]
    x, y = np.array([50.2, 150.2, 5.2, 100.2]), np.array([60.2, 100.2, 190.2, 100.2])
    where = [0, 1, 0, 1]
    sky = [wcs[k].pixel_to_world_values(a, b) for k, a, b in zip(where, x, y, strict=True)]
    lines = [f"{ra},{dec},{label}" for (ra, dec), label in zip(sky, ["a", "b", "a", "c"], strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["RA,DEC,label", *lines, "300,-20,far"]))
    request = Dataset(
        source=str(tmp_path / "t.csv"), mosaics=(str(tmp_path / "m0.fits"), str(tmp_path / "m1.fits")), window_size=32
    )
    made = store.run(request)
    assert made.counts["off_map"] == 1
    assert "1 entries lie on no map" in made.run["warnings"][0]
    catalogue = Catalogue.open(made)
    assert sorted(entry[0] for entry in catalogue.labels) == ["a", "a", "b", "c"]
    images = PixelSource.open(made, store.sources.locate).read(np.arange(4))
    names = {store.sources.fingerprint(str(tmp_path / f"m{i}.fits")): i for i in range(2)}
    for row, image in zip(catalogue.table.to_pylist(), images, strict=True):
        k = names[row["mosaic"]]
        hit = [
            i
            for i in range(4)
            if where[i] == k and abs(row["x0"] + 15.5 - x[i]) < 1 and abs(row["y0"] + 15.5 - y[i]) < 1
        ]
        assert len(hit) == 1
        padded = np.pad(maps[k], 40, constant_values=np.nan)
        np.testing.assert_array_equal(image, padded[row["y0"] + 40 : row["y0"] + 72, row["x0"] + 40 : row["x0"] + 72])
    with pytest.raises(RequestError, match="--mosaics"):
        store.run(Dataset(source=str(tmp_path / "t.csv")))
    (tmp_path / "far.csv").write_text("RA,DEC,label\n300,-20,far\n")
    with pytest.raises(RequestError, match="None of the 1 positions"):
        store.run(Dataset(source=str(tmp_path / "far.csv"), mosaics=(str(tmp_path / "m0.fits"),)))


def test_table_of_pixels_in_files(tmp_path: Path, store: Store) -> None:
    pixels = np.arange(100 * 100, dtype=np.float32).reshape(100, 100)
    write_fits(tmp_path / "m.fits", pixels)
    (tmp_path / "t.csv").write_text("path,x,y,label,split\nm.fits,50,40,a,train\nm.fits,20,30,b,test\n")
    made = store.run(Dataset(source=str(tmp_path / "t.csv"), window_size=8, positions="ignore"))
    catalogue = Catalogue.open(made)
    assert catalogue.windows.tolist() == [[17, 27, 8, 8], [47, 37, 8, 8]]
    assert catalogue.labels == [["b"], ["a"]]
    assert catalogue.column("split").tolist() == ["test", "train"]


def test_a_catalogue_of_ours_with_labels(tmp_path: Path, store: Store) -> None:
    write_fits(tmp_path / "m.fits", np.random.default_rng(0).standard_normal((256, 256)))
    cutouts = store.run(Cutouts(mosaics=(str(tmp_path / "m.fits"),)))
    ids = Catalogue.open(cutouts).column("cutout_id")
    (tmp_path / "l.csv").write_text(f"cutout_id,label\n{ids[1]},ring\n{ids[5]},tail\nffffffffffffffff,none\n")
    made = store.run(Dataset(source=str(tmp_path / "l.csv"), catalogue=cutouts.id))
    catalogue = Catalogue.open(made)
    assert catalogue.column("cutout_id").tolist() == [ids[1], ids[5]]
    assert catalogue.labels == [["ring"], ["tail"]]
    assert made.inputs == (cutouts.id,)
    again = store.run(Dataset(source=str(made.folder), label_map=("odd=ring+tail",)))
    assert Catalogue.open(again).labels == [["odd"], ["odd"]]
    merged = store.run(Merge(catalogues=(cutouts.id, made.id)))
    assert sorted(label for entry in Catalogue.open(merged).labels for label in entry) == ["ring", "tail"]
    with pytest.raises(RequestError, match="None of the cutouts has a label"):
        store.run(Dataset(catalogue=cutouts.id))


def test_equal_bytes_in_another_place_and_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from skysift.cutouts import measure as measure_module
    from skysift.cutouts import tasks
    from skysift.datasets import work

    for place in ("one", "two"):
        for i, image in enumerate(pictures(12, (30, 30))):
            folder = tmp_path / place / "set" / "ab"[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{i}.png")
    monkeypatch.setattr(tasks, "TASK_PIXELS", 2000)
    whole = Store(tmp_path / "a").run(Dataset(source=str(tmp_path / "one" / "set")), engine=Threads(1))
    calls = []

    def dies(task, out: Path) -> None:
        calls.append(out)
        if len(calls) == 3:
            raise KeyboardInterrupt
        measure_module.measure(task, out)

    monkeypatch.setattr(work, "measure", dies)
    store = Store(tmp_path / "b")
    with pytest.raises(SkysiftError, match="carries on"):
        store.run(Dataset(source=str(tmp_path / "two" / "set")), engine=Threads(1))
    resumed = store.run(Dataset(source=str(tmp_path / "two" / "set")), engine=Threads(3))
    assert whole.id == resumed.id
    for name in ("catalogue.parquet", "mosaics.parquet", "classes.json", "manifest.json"):
        assert file_digest(whole.path(name)) == file_digest(resumed.path(name))


def test_golden_id(tmp_path: Path, store: Store) -> None:
    """A change of it is a change of every labelled set: raise the stage's version on purpose."""
    path = tmp_path / "labels.csv"
    path.write_text("path,label\nimage.npy,a\n")
    np.save(tmp_path / "image.npy", np.zeros((4, 4), np.float32))
    assert store.identify(Dataset(source=str(path), label_map=("A=a",))) == "e3e64361d16c7356cdfe1b77c793e56a"


def test_estimate(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", images=pictures(3), labels=np.array([5, -1, 1]))
    path = str(tmp_path / "s.npz")
    assert Dataset(source=path).estimate(0, {"source": [path]})["rows"] == 3
