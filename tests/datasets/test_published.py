"""Published sets: each in its maker's layout, made here, with what is read compared to what was written."""

from __future__ import annotations

import bz2
import csv
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.datasets.find import find_labelled_set
from skysift.datasets.formats import format_of, read_labelled
from skysift.datasets.labelled import Request
from skysift.datasets.names import KNOWN, LABEL_MAPS
from skysift.datasets.stages import Dataset
from skysift.errors import RequestError, SkysiftError
from skysift.store import Artifact, Store

CLASSES = ["100", "102", "104", "110", "112", "200", "201", "210", "300", "310"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, count]).integers(0, 256, (count, side, side)).astype(np.uint8)


def counts(made: Artifact) -> dict[str, int]:
    content = json.loads(made.path("classes.json").read_text())
    return dict(zip(content["classes"], content["counts"], strict=True))


def rows(made: Artifact, store: Store) -> list[tuple[np.ndarray, dict[str, Any]]]:
    catalogue = Catalogue.open(made)
    images = PixelSource.open(made, store.sources.locate).read(np.arange(len(catalogue)))
    return list(zip(images, catalogue.table.to_pylist(), strict=True))


def write_fits(path: Path, pixels: np.ndarray, ra: float, dec: float, scale: float = 1.8) -> None:
    """A map whose middle pixel is at (ra, dec)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (ra, dec), ((pixels.shape[1] + 1) / 2, (pixels.shape[0] + 1) / 2)
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    fits.writeto(path, pixels.astype(np.float32), wcs.to_header())


def mirabest_name(number: int, ra: float) -> str:
    return f"{CLASSES[number]}_{ra:07.3f}{-10 + ra / 10:+08.3f}_0.1105_0034.32"


def write_mirabest(folder: Path) -> tuple[np.ndarray, list[int], list[str]]:
    """Seven training batches and a test batch, as `mirabest_builder.py` leaves them."""
    folder.mkdir(parents=True)
    images, labels = pictures(40, 150), [i % 10 for i in range(40)]
    names = [f"./MiraBest_F/PNG/Scaled_Final/{mirabest_name(n, 100.0 + i)}.png" for i, n in enumerate(labels)]
    for batch in range(8):
        part = range(5 * batch, 5 * batch + 5)
        content = {
            "batch_label": "testing batch 1 of 1" if batch == 7 else f"training batch {batch + 1} of 7",
            "labels": [labels[i] for i in part],
            "data": [np.array(list(images[i]), np.uint8) for i in part],
            "filenames": list(np.array([names[i] for i in part])),  # numpy's texts, as sorted by the makers
        }
        with (folder / ("test_batch" if batch == 7 else f"data_batch_{batch + 1}")).open("wb") as stream:
            pickle.dump(content, stream)
    with (folder / "batches.meta").open("wb") as stream:
        pickle.dump({"num_cases_per_batch": 5, "label_names": CLASSES, "num_vis": 22500}, stream)
    return images, labels, names


def test_mirabest_batches(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels, _ = write_mirabest(tmp_path / "sets" / "F_batches")
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path / "sets"))
    made = store.run(Dataset(source="mirabest"))
    assert counts(made) == dict.fromkeys(CLASSES, 4)
    assert list(counts(made)) == CLASSES
    where = {image.astype(np.float32).tobytes(): i for i, image in enumerate(images)}
    found = rows(made, store)
    assert len(found) == 40
    for image, row in found:
        i = where.pop(image.tobytes())
        assert row["labels"] == [CLASSES[labels[i]]]
        assert row["split"] == ("test" if i >= 35 else "train")
        assert row["ra"] == pytest.approx(100.0 + i)
        assert row["dec"] == pytest.approx(0.1 * i)
    # the publisher's own folder stands for the one folder of batches in it, and one batch for itself
    assert store.run(Dataset(source=str(tmp_path / "sets"))).counts["rows"] == 40
    one = store.run(Dataset(source=str(tmp_path / "sets" / "F_batches" / "data_batch_2")))
    assert [label for entry in Catalogue.open(one).labels for label in entry] == CLASSES[5:]
    assert Catalogue.open(one).table.column("split").null_count == 5


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mirabest", {"FR-I": 20, "FR-II": 12}),
        ("mirabest-confident", {"FR-I": 12, "FR-II": 8}),
        ("mirabest-uncertain", {"FR-I": 8, "FR-II": 4}),
        ("mirabest-hybrid", {"FR-I": 20, "FR-II": 12, "Hybrid": 8}),
    ],
)
def test_mirabest_label_maps(name: str, wanted: dict[str, int], tmp_path: Path, store: Store) -> None:
    """By class, and by the numbers that the makers' own code selects: MBFRConfident and so on of `MiraBest_F.py`."""
    write_mirabest(tmp_path / "F_batches")
    made = store.run(Dataset(source=str(tmp_path / "F_batches"), label_map=name))
    assert counts(made) == wanted
    (tmp_path / "F_batches" / "batches.meta").unlink()
    numbered = store.run(Dataset(source=str(tmp_path / "F_batches"), label_map=(name,)))
    assert Catalogue.open(numbered).labels == Catalogue.open(made).labels
    written = Dataset(source=str(tmp_path / "F_batches"), label_map=LABEL_MAPS[name])
    assert store.identify(written) == numbered.id  # a name says no more than its entries


def test_a_batch_that_would_run_something(tmp_path: Path, store: Store) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    write_mirabest(tmp_path / "F_batches")
    (tmp_path / "F_batches" / "data_batch_3").write_bytes(pickle.dumps({"labels": [1], "data": Evil()}))
    with pytest.raises(RequestError, match=r"data_batch_3 asks to run .*system"):
        store.run(Dataset(source=str(tmp_path / "F_batches")))
    (tmp_path / "F_batches" / "data_batch_3").write_bytes(pickle.dumps({"labels": [10], "data": pictures(1, 150)}))
    with pytest.raises(RequestError, match="beyond the 10 names"):
        store.run(Dataset(source=str(tmp_path / "F_batches")))
    (tmp_path / "F_batches" / "batches.meta").write_bytes(pickle.dumps({"label_names": Evil()}))
    with pytest.raises(RequestError, match=r"batches\.meta asks to run"):
        store.run(Dataset(source=str(tmp_path / "F_batches")))
    assert not (tmp_path / "ran").exists()


def test_mirabest_in_fits(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "MiraBest" / "FITS"
    folder.mkdir(parents=True)
    maps = np.random.default_rng(1).normal(size=(4, 300, 300)).astype(np.float32)
    for pixels, number, ra in zip(maps, (0, 7, 9, 0), (114.33, 20.5, 350.0, 200.0), strict=True):
        write_fits(folder / f"{mirabest_name(number, ra)}.fits", pixels, ra, -10 + ra / 10)
    write_fits(folder / "100_036.061+000.563_0.1400_0093.07.fits", maps[0] + 1, 36.061, 0.563)  # known to be faulty
    made = store.run(Dataset(source=str(tmp_path / "MiraBest")))
    assert counts(made) == {"100": 2, "210": 1, "310": 1}
    truth = {114.33: (0, "100"), 20.5: (1, "210"), 350.0: (2, "310"), 200.0: (3, "100")}
    for image, row in rows(made, store):
        number, label = truth[round(row["ra"], 2)]
        np.testing.assert_array_equal(image, maps[number][75:225, 75:225])
        assert row["labels"] == [label]
    wide = store.run(Dataset(source=str(folder), window_size=300, label_map="mirabest"))
    assert {row["width"] for _, row in rows(wide, store)} == {300}
    assert counts(wide) == {"FR-I": 2, "FR-II": 1}
    with pytest.raises(RequestError, match="300 x 300 pixels, less than the window of 301"):
        store.run(Dataset(source=str(folder), window_size=301))


def test_fr_deep(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven batches and a test batch of flat rows, written by Python 2 or 3, without file names."""
    folder = tmp_path / "FIRST_PNG_dataset"
    folder.mkdir()
    images, labels = pictures(24, 150, 3), [i % 2 for i in range(24)]
    for batch in range(12):
        content = {
            "labels": labels[2 * batch : 2 * batch + 2],
            "data": [im.ravel() for im in images[2 * batch : 2 * batch + 2]],
        }
        name = "test_batch" if batch == 11 else f"data_batch_{batch + 1}"
        (folder / name).write_bytes(pickle.dumps(content, protocol=batch % 5))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["FRI", "FRII"]}, 2))
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    made = store.run(Dataset(source="fr-deep"))
    assert counts(made) == {"FRI": 12, "FRII": 12}
    where = {image.astype(np.float32).tobytes(): i for i, image in enumerate(images)}
    for image, row in rows(made, store):
        i = where.pop(image.tobytes())
        assert row["labels"] == [["FRI", "FRII"][labels[i]]]
        assert row["split"] == ("test" if i >= 22 else "train")
        assert row["ra"] is None


def test_rgd(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["FRI", "FRII", "Compact", "Bent"]
    images = pictures(12, 30, 2)
    for i, image in enumerate(images):
        label, part = i % 4, ("train", "valid", "test")[i // 4]
        for home in (part, "all"):
            folder = tmp_path / "galaxy_data" / home / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{100.25 + i}_{-9.608 + i}_{label}_MiraBest.png")
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    made = store.run(Dataset(source="rgd"))
    assert counts(made) == dict.fromkeys(names, 3)
    where = {image.astype(np.float32).tobytes(): i for i, image in enumerate(images)}
    found = rows(made, store)
    assert len(found) == 12  # the folder `all` repeats the others
    for image, row in found:
        i = where.pop(image.tobytes())
        assert row["labels"] == [names[i % 4]]
        assert row["split"] == ("train", "validation", "test")[i // 4]
        assert row["ra"] == pytest.approx(100.25 + i)
        assert row["dec"] == pytest.approx(-9.608 + i)
    wrong = tmp_path / "galaxy_data" / "test" / "Bent" / "10.0_20.0_0_Gendre.png"
    Image.fromarray(images[0]).save(wrong)
    with pytest.raises(RequestError, match="is not named RA_DEC_3_SOURCE"):
        store.run(Dataset(source=str(tmp_path)))


RGZ_COLUMNS = "CatID,RGZID,ZooniverseID,RA,Dec,N_votes,N_total,CL,N_comp,N_peaks,LAE,TSA,OL,TF,TF_err,DC"


def write_rgz(folder: Path, entries: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "DR1_FIRST_radio_classifications.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, RGZ_COLUMNS.split(","), restval=1)
        writer.writeheader()
        writer.writerows({"CatID": i, **entry} for i, entry in enumerate(entries))


def source(id_: str, ra: float, comp: int, peaks: int, extent: float = 20.0, **more: Any) -> dict[str, Any]:
    named = {"RGZID": f"RGZ_J{id_}+014816", "ZooniverseID": f"ARG000{id_[:3]}", "RA": ra, "Dec": 1.8}
    return {**named, "N_votes": 20, "N_comp": comp, "N_peaks": peaks, "LAE": extent, "CL": 0.9, **more}


def test_rgz_with_images_named_after_sources(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).normal(size=(6, 101, 101)).astype(np.float32)
    entries = [
        source("000100.1", 0.1, 1, 1, 20.0),
        source("000200.2", 0.2, 2, 3, 61.0),
        source("000200.2", 0.2001, 1, 1, 20.0, CL=0.8),  # a second, less certain entry of the same source
        source("000300.3", 0.3, 3, 3, 20.0, CL=0.55),  # not certain enough
        source("000400.4", 0.4, 4, 4, 20.0),  # none of the six classes
        source("000500.5", 0.5, 1, 2, 33.3),
        source("000600.6", 0.6, 1, 2, 20.0),  # without an image
    ]
    folder = tmp_path / "RGZ_DR1_tables"
    write_rgz(folder, entries)
    (folder / "fits").mkdir()
    for i, name in enumerate(["RGZ_J000100.1+014816", "12_RGZ_J000200.2+014816", "RGZ_J000300.3+014816"]):
        write_fits(folder / "fits" / f"{name}.fits", pixels[i], 0.1 * (i + 1), 1.8)
    write_fits(folder / "fits" / "ARG000000.fits", pixels[3], 0.5, 1.8)  # no source has that id
    write_fits(folder / "fits" / "RGZ_J000500.5+014816.fits", pixels[4], 0.5, 1.8 + 10.0 * 1.8 / 3600)
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    made = store.run(Dataset(source="rgz-dr1"))
    assert counts(made) == {"1C-1P": 1, "1C-2P": 1, "1C-3P": 0, "2C-2P": 0, "2C-3P": 1, "3C-3P": 0}
    assert made.counts["off_map"] == 1
    found = {row["labels"][0]: (image, row) for image, row in rows(made, store)}
    for label, number, extent, row_of_source in (
        ("1C-1P", 0, 20.0, 50),
        ("2C-3P", 1, 61.0, 50),
        ("1C-2P", 4, 33.3, 40),
    ):
        image, row = found[label]
        side = int(np.ceil(1.5 * extent / 1.8))
        assert (row["width"], row["height"]) == (side, side)
        assert abs(row["x0"] + (side - 1) / 2 - 50) <= 0.51
        assert abs(row["y0"] + (side - 1) / 2 - row_of_source) <= 0.51
        y0, x0 = row["y0"], row["x0"]
        np.testing.assert_array_equal(image, pixels[number][y0 : y0 + side, x0 : x0 + side])
    table = folder / "DR1_FIRST_radio_classifications.csv"
    table.write_text(table.read_text().replace("LAE", "SIZE"))
    with pytest.raises(RequestError, match="no column LAE"):
        store.run(Dataset(source=str(folder)))


def test_rgz_on_maps(tmp_path: Path, store: Store) -> None:
    write_rgz(tmp_path, [source("1", 10.0, 1, 1), source("2", 10.01, 2, 2), source("3", 50.0, 3, 3)])
    with pytest.raises(RequestError, match=r"No FITS image beside .*--mosaics"):
        store.run(Dataset(source=str(tmp_path)))
    pixels = np.random.default_rng(0).normal(size=(120, 140)).astype(np.float32)
    (tmp_path / "maps").mkdir()
    write_fits(tmp_path / "maps" / "a.fits", pixels, 10.0, 1.8)
    write_fits(tmp_path / "maps" / "b.fits", pixels + 1, 10.02, 1.8)
    table = str(tmp_path / "DR1_FIRST_radio_classifications.csv")
    made = store.run(Dataset(source=table, mosaics=(str(tmp_path / "maps"),)))
    assert made.counts["rows"] == 2
    assert made.counts["off_map"] == 1
    wanted = int(np.ceil(30 / 1.8))
    for _, row in rows(made, store):
        assert row["width"] == wanted
    assert Catalogue.open(made).mosaics.num_rows in (1, 2)
    fixed = store.run(Dataset(source=table, mosaics=(str(tmp_path / "maps"),), window_size=32))
    assert {row["width"] for _, row in rows(fixed, store)} == {32}


@pytest.mark.parametrize(("name", "folder", "form"), [("vlass", "VLASS", "npy"), ("msrs", "2-ROBIN", "fits")])
def test_sets_of_cecconello_2024(
    name: str, folder: str, form: str, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / folder
    (home / "img").mkdir(parents=True)
    images = pictures(5, 40)
    labels = ["compact", "extended", "compact", "diffuse", "extended"]
    for i, image in enumerate(images):
        if form == "npy":
            np.save(home / "img" / f"{i}.npy", image)
        else:
            fits.writeto(home / "img" / f"{i}.fits", image.astype(np.float32))
    info = {str(i): {"target_path": f"img/{i}.{form}", "source_type": label} for i, label in enumerate(labels)}
    (home / "info.json").write_text(json.dumps(info))  # pandas' to_json(orient="index")
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    request = Dataset(source=name, positions="ignore")
    made = store.run(request)
    assert counts(made) == {"compact": 2, "diffuse": 1, "extended": 2}
    truth = {image.astype(np.float32).tobytes(): label for image, label in zip(images, labels, strict=True)}
    for image, row in rows(made, store):
        assert row["labels"] == [truth[image.tobytes()]]
    # a variant of the list is named by its path, and depends on its images
    (home / "info_wo_nan.json").write_text(json.dumps(dict(list(info.items())[:3])))
    part = Dataset(source=str(home / "info_wo_nan.json"), positions="ignore")
    assert store.run(part).counts["rows"] == 3
    before = store.identify(part)
    if form == "npy":
        np.save(home / "img" / "0.npy", 255 - images[0])
        assert store.identify(part) != before
    (home / "img" / f"1.{form}").unlink()
    with pytest.raises(RequestError, match=rf"names img/1\.{form}"):
        store.run(part)
    (home / "info_wo_nan.json").write_text(json.dumps({"0": {"path": "a", "class": "b"}}))
    with pytest.raises(RequestError, match="no target_path, but path, class"):
        store.run(part)
    (home / "info_wo_nan.json").write_text('{"0": ')
    with pytest.raises(RequestError, match="no JSON"):
        store.run(part)


def test_mgcls(tmp_path: Path, store: Store) -> None:
    images = pictures(6, 20)
    arrays = {
        "images": images,
        "score": np.array([5, -1, 1, 3, -1, 1]),
        "field": np.array(["Abell_85", "Abell_85", "J1", "J1", "J2", "J2"]),
        "ra": np.arange(6.0),
        "dec": np.zeros(6),
    }
    np.savez(tmp_path / "mgcls.npz", **arrays)
    made = store.run(Dataset(source=str(tmp_path / "mgcls.npz")))
    catalogue = Catalogue.open(made)
    assert catalogue.labels == [["5"], [], ["1"], ["3"], [], ["1"]]
    assert catalogue.column("split").tolist() == arrays["field"].tolist()
    plain = store.run(Dataset(source=str(tmp_path / "mgcls.npz"), columns=("label=score",)))
    assert Catalogue.open(plain).labels == catalogue.labels
    assert Catalogue.open(plain).table.column("split").null_count == 6  # as any other archive
    np.savez(tmp_path / "mgcls.npz", **{**arrays, "field": np.arange(6)})
    with pytest.raises(RequestError, match="give the name of a pointing"):
        store.run(Dataset(source=str(tmp_path / "mgcls.npz")))


def test_usps(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = np.round(rng.uniform(-1, 1, (9, 256)), 6)
    images[:, rng.integers(0, 256, 40)] = 0.0
    labels = [1, 10, 3, 4, 5, 6, 7, 8, 9]
    folder = tmp_path / "usps"
    folder.mkdir()
    for name, part in (("usps.bz2", slice(0, 6)), ("usps.t.bz2", slice(6, 9))):
        lines = [
            f"{label} " + " ".join(f"{i + 1}:{value:.6f}" for i, value in enumerate(image)) + " "
            for image, label in zip(images[part], labels[part], strict=True)
        ]
        (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    made = store.run(Dataset(source="usps"))
    assert counts(made) == {str(digit): 1 for digit in (0, 2, 3, 4, 5, 6, 7, 8, 9)}
    truth = {i: image.reshape(16, 16).astype(np.float32) for i, image in enumerate(images)}
    for image, row in rows(made, store):
        i = next(i for i, wanted in truth.items() if np.array_equal(wanted, image))
        assert row["labels"] == [str(labels[i] - 1)]
        assert row["split"] == ("test" if i >= 6 else "train")
    (folder / "usps.bz2").write_bytes(bz2.compress(b"0 1:1 2:1 3:1 4:1\n"))
    with pytest.raises(RequestError, match="labels of USPS are 1-10"):
        store.run(Dataset(source="usps"))
    (folder / "usps.bz2").write_bytes(bz2.compress(b"1 1:1 2:1 3:1\n"))
    with pytest.raises(RequestError, match="not 1 square grey images"):
        store.run(Dataset(source="usps"))
    (folder / "usps.bz2").write_bytes(b"BZh9 and then nothing")
    with pytest.raises(SkysiftError, match="not in libsvm's format"):
        store.run(Dataset(source="usps"))


def test_names_of_sets_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYSIFT_DATASETS", str(tmp_path))
    for name, known in KNOWN.items():
        with pytest.raises(RequestError, match=f"{name} .*unpacked from"):
            find_labelled_set(name)
        place = tmp_path / known.folders[-1]
        place.mkdir()
        assert find_labelled_set(name) == str(place)
        place.rmdir()
    (tmp_path / "usps.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(RequestError, match="HDF5, which is not read"):
        format_of(str(tmp_path / "usps.h5"))


def test_reading_needs_no_request(tmp_path: Path) -> None:
    write_mirabest(tmp_path / "b")
    assert len(read_labelled(str(tmp_path / "b"))) == len(read_labelled(str(tmp_path / "b"), Request())) == 40
