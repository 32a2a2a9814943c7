"""`skysift similar` on a small survey: what is searched for finds itself, and the output in every form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse_single_table
from PIL import Image

from skysift.cli.program import main
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.features.stages import Features
from skysift.store.artifact import Artifact
from skysift.store.store import Store
from tests.cli.runner import skysift


class Made(NamedTuple):
    store: Store
    mosaic: Path
    features: Artifact
    catalogue: Catalogue
    images: list[np.ndarray]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """35 windows of 32 pixels of one mosaic, and features of a network with random weights."""
    folder = tmp_path_factory.mktemp("similar")
    draw = np.random.default_rng(11)
    y, x = np.mgrid[:96, :128]
    image = draw.normal(0, 1e-4, (96, 128))
    for _ in range(25):
        cx, cy, width = draw.uniform(0, 128), draw.uniform(0, 96), draw.uniform(1.5, 4)
        image += draw.uniform(1e-3, 2e-2) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    header = fits.Header()
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=64.0, CRPIX2=48.0, CRVAL1=150.0, CRVAL2=2.0)
    header.update(CDELT1=-5e-4, CDELT2=5e-4, CUNIT1="deg", CUNIT2="deg", BUNIT="Jy/beam", BMAJ=1.5e-3, BMIN=1.5e-3)
    mosaic = folder / "field.fits"
    fits.writeto(mosaic, image.astype(np.float32), header)
    store = Store(folder / "store")
    cutouts = store.run(Cutouts(mosaics=(str(mosaic),), window_size=(32,), overlap=0.5))
    options = {"weights": "random", "image_size": 32, "orientations": 8, "preprocess": "minmax"}
    features = store.run(Features(cutouts=cutouts.id, encoder="timm:resnet18", **options))
    catalogue = Catalogue.open(features)
    pixels = PixelSource.open(features, store.sources.locate)
    return Made(store, mosaic, features, catalogue, list(pixels.read(range(len(catalogue)))))


def ask(made: Made, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    """Run the command and return what it found."""
    code = main(["similar", made.features.id, *words, "--json", "--quiet", "--store", str(made.store.root)])
    out, err = capsys.readouterr()
    assert code == 0, err
    answer = json.loads(out)
    assert answer["features"] == made.features.id
    found: list[dict[str, object]] = answer["similar"]
    return found


def complaint(made: Made, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["similar", made.features.id, *words, "--store", str(made.store.root)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_by_id(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ids = made.catalogue.column("cutout_id").tolist()
    x = np.load(made.features.path("features.npy")).astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    order = [row for row in np.argsort(-(x @ x[7]), kind="stable") if row != 7][:6]
    files = [tmp_path / f"found.{ending}" for ending in ("csv", "parquet", "vot")]
    for path in files:
        found = ask(made, capsys, "--cutout", ids[7][:9], "--count", "6", "--to", str(path))
    assert [entry["cutout_id"] for entry in found] == [ids[row] for row in order]
    np.testing.assert_allclose([entry["similarity"] for entry in found], x[order] @ x[7], atol=1e-6)
    assert {entry["file"] for entry in found} == {"field.fits"}
    assert found[0]["ra"] == made.catalogue.column("ra")[order[0]]
    with files[0].open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["cutout_id"] for row in rows] == [ids[row] for row in order]
    assert float(rows[2]["dec"]) == pytest.approx(found[2]["dec"])
    assert pq.read_table(files[1])["x0"].to_pylist() == made.catalogue.column("x0")[order].tolist()
    assert parse_single_table(files[2]).array["similarity"][3] == pytest.approx(found[3]["similarity"])


def test_by_position(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """In degrees and sexagesimal; a little off the middle of a cutout."""
    row = 12
    ra, dec = (float(made.catalogue.column(name)[row]) + 5e-4 for name in ("ra", "dec"))
    wanted = ask(made, capsys, "--cutout", made.catalogue.column("cutout_id")[row])
    assert ask(made, capsys, "--position", f"{ra} {dec}") == wanted
    assert ask(made, capsys, "--position", f"{ra}, {dec}") == wanted
    place = SkyCoord(ra, dec, unit="deg")
    for text in (place.to_string("hmsdms", precision=4), place.to_string("hmsdms", sep=":", precision=4)):
        assert ask(made, capsys, "--position", text) == wanted
    said = complaint(made, capsys, "--position", "150.0 3.0")
    assert "no cutout contains RA 150.00000, Dec 3.00000" in said
    assert "is 59.0" in said
    assert "arcmin away" in said


def test_by_image(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file with the pixels of a cutout finds that cutout; so does its window of the mosaic, and a PNG nearly."""
    row = 20
    id_ = made.catalogue.column("cutout_id")[row]
    fits.writeto(tmp_path / "cutout.fits", made.images[row])
    found = ask(made, capsys, "--image", str(tmp_path / "cutout.fits"))
    assert found[0]["cutout_id"] == id_
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert found[1]["similarity"] < 1 - 1e-5
    ra, dec = (float(made.catalogue.column(name)[row]) for name in ("ra", "dec"))
    there = ask(made, capsys, "--mosaic", str(made.mosaic), "--position", f"{ra!r} {dec!r}")
    assert [entry["cutout_id"] for entry in there] == [entry["cutout_id"] for entry in found]
    np.testing.assert_allclose([e["similarity"] for e in there], [e["similarity"] for e in found], atol=1e-6)
    low, high = made.images[row].min(), made.images[row].max()
    Image.fromarray(np.round(255 * (made.images[row] - low) / (high - low)).astype(np.uint8)).save(
        tmp_path / "cutout.png"
    )
    assert ask(made, capsys, "--image", str(tmp_path / "cutout.png"))[0]["cutout_id"] == id_


def test_distinct(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    from skysift.discovery.candidates import group_windows, measure_emission

    pixels = PixelSource.open(made.features, made.store.sources.locate)
    group = group_windows(made.catalogue, measure_emission(pixels, range(len(pixels)))).of_window
    ids = made.catalogue.column("cutout_id").tolist()
    row = int(np.argmax(np.bincount(group)[group]))
    every = ask(made, capsys, "--cutout", ids[row], "--count", "40")
    assert len(every) == len(ids) - 1
    expected, seen = [], {int(group[row])}
    for entry in every:
        other = int(group[ids.index(entry["cutout_id"])])
        if other not in seen:
            expected.append(entry)
            seen.add(other)
    assert 2 < len(expected) < len(every) - 2
    assert ask(made, capsys, "--cutout", ids[row], "--count", "40", "--distinct") == expected
    first = ask(made, capsys, "--cutout", ids[row], "--count", "2", "--distinct")
    assert len(first) == 2
    assert first[0] == expected[0]


def test_figure(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ask(
        made,
        capsys,
        "--cutout",
        made.catalogue.column("cutout_id")[3],
        "--count",
        "8",
        "--figure",
        str(tmp_path / "f.png"),
    )
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.width > 600
        assert np.asarray(picture.convert("L")).std() > 20


def test_wrong_requests(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    id_ = made.catalogue.column("cutout_id")[0]
    fits.writeto(tmp_path / "large.fits", np.zeros((1, 5000), np.float32))
    for words, said in (
        ((), "one of --cutout, --position and --image"),
        (("--cutout", id_, "--position", "1 2"), "--cutout and --position together"),
        (("--cutout", "zz"), "no cutout 'zz'"),
        (("--cutout", ""), "one of --cutout"),
        (("--position", "here"), "no position"),
        (("--position", "150 95"), "no position"),
        (("--image", str(tmp_path / "none.fits")), "no file"),
        (("--image", str(tmp_path / "large.fits")), "too many for a cutout"),
        (("--image", "x.fits", "--mosaic", "y.fits"), "--mosaic needs --position"),
        (("--cutout", id_, "--size", "3"), "--size"),
        (("--cutout", id_, "--count", "0"), "--count 0"),
        (("--cutout", id_, "--to", "x.txt"), "must end in .csv, .parquet or .vot"),
        (("--cutout", id_, "--figure", "x.gif"), "must end in .png or .svg"),
        (("--mosaic", str(made.mosaic), "--position", "150 3"), "outside of"),
    ):
        assert said in complaint(made, capsys, *words), words


def test_as_a_process(made: Made) -> None:
    done = skysift(
        "similar", made.features.id, "--cutout", made.catalogue.column("cutout_id")[0], store=made.store.root
    )
    assert done.code == 0, done.err
    heading, *lines = done.out.splitlines()
    assert heading.split() == ["CUTOUT", "SIMILARITY", "RA", "DEC", "MOSAIC"]
    assert len(lines) == 20
    assert all(len(line.split()) == 5 for line in lines)
