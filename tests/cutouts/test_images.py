"""Folders that hold other FITS files beside mosaics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from cutout_maps import noise, write_map

from skysift.cutouts.stages import Cutouts
from skysift.errors import RequestError
from skysift.store import Store

OTHERS = ("components.fits", "empty.fits", "spectrum.fits")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two mosaics, a table of components, a spectrum, and a file of headers alone."""
    place = tmp_path / "survey"
    place.mkdir()
    for i in range(2):
        write_map(place / f"field{i}.fits", noise(i), ra=150.0 + i)
    Table({"ra": [150.0, 151.0], "dec": [-30.0, -30.0]}).write(place / "components.fits")
    fits.PrimaryHDU().writeto(place / "empty.fits")
    fits.PrimaryHDU(np.ones(20, np.float32)).writeto(place / "spectrum.fits")
    return place


@pytest.mark.parametrize("given", ["{}", "{}/*.fits"])
def test_what_is_no_image_is_left_out_of_a_folder(tmp_path: Path, folder: Path, given: str) -> None:
    made = Store(tmp_path / "s").run(Cutouts(mosaics=(given.format(folder),)))
    assert made.counts["mosaics"] == 2
    said = made.run["warnings"]
    assert [sum(name in text for text in said) for name in OTHERS] == [1, 1, 1]
    assert all(text.endswith("holds no image and is left out.") for text in said)
    alone = Store(tmp_path / "t").run(Cutouts(mosaics=(str(folder / "field0.fits"), str(folder / "field1.fits"))))
    name = "catalogue.parquet"
    assert (made.folder / name).read_bytes() == (alone.folder / name).read_bytes()


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_by_its_own_path_must_hold_an_image(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(RequestError, match=rf"{name} .*no image"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder), str(folder / name))))
    for i in range(2):
        (folder / f"field{i}.fits").unlink()
    with pytest.raises(RequestError, match="no file holds an image"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder),)))


def test_a_damaged_file_in_a_folder_stays_an_error(tmp_path: Path, folder: Path) -> None:
    (folder / "field2.fits").write_bytes((folder / "field1.fits").read_bytes()[:50_000])
    with pytest.raises(Exception, match=r"field2\.fits is truncated"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder),)))


def test_the_list_of_sources_may_lie_among_the_mosaics(tmp_path: Path, folder: Path) -> None:
    listed = str(folder / "components.fits")
    made = Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder),), sources=listed))
    assert made.counts["rows"] == 2
    assert not any("components.fits" in text for text in made.run["warnings"])


def test_tables_need_no_mask(tmp_path: Path, folder: Path) -> None:
    for i in range(2):
        write_map(folder / f"field{i}_mask.fits", (noise(i) > 1).astype(np.uint8))
    made = Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder),), mask="{stem}_mask.fits"))
    assert made.counts["mosaics"] == 2
    (folder / "field1_mask.fits").unlink()
    with pytest.raises(RequestError, match=r"field1\.fits has no mask"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(str(folder),), mask="{stem}_mask.fits"))


def test_estimates_leave_out_the_same(folder: Path) -> None:
    paths = sorted(str(path) for path in folder.iterdir())
    stage = Cutouts(mosaics=(str(folder),))
    assert stage.estimate(0, {"mosaics": paths})["rows"] == 2 * 16
