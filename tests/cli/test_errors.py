"""Wrong requests and broken input: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.cli.runner import skysift


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, survey: Path) -> Path:
    """A folder of files that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("broken")
    whole = (survey / "mosaics" / "mosaic_00.fits").read_bytes()
    (folder / "truncated.fits").write_bytes(whole[: len(whole) // 3])
    (folder / "text.fits").write_text("this is not FITS")
    fits.PrimaryHDU(np.full((64, 64), np.nan, np.float32)).writeto(folder / "nan.fits")
    fits.PrimaryHDU(np.zeros((32, 32), np.float32)).writeto(folder / "small.fits")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "table.fits")
    (folder / "empty.csv").write_text("ra,dec\n")
    (folder / "away.csv").write_text("ra,dec\n200.0,45.0\n")
    (folder / "bad.yaml").write_text("window_sise: 64\n")
    return folder


CASES = [
    ("cutouts {b}/nowhere.fits", 2, "nowhere.fits"),
    ("cutouts {b}/truncated.fits --window-size 64", None, "truncated.fits"),
    ("cutouts {b}/text.fits --window-size 64", None, "text.fits"),
    ("cutouts {b}/table.fits --window-size 64", None, "table.fits"),
    ("cutouts {b}/nan.fits --window-size 32", None, "no finite pixel"),
    ("cutouts {b}/small.fits --window-size 64", 2, "64"),
    ("cutouts {s}/mosaics --sources {b}/empty.csv", 2, "empty.csv"),
    ("cutouts {s}/mosaics --sources {b}/away.csv", None, ""),
    ("cutouts {s}/mosaics --window-size 0", 2, "window_size"),
    ("cutouts {s}/mosaics --overlap 1.5", 2, "overlap"),
    ("cutouts {s}/mosaics --config {b}/bad.yaml", 2, "window_sise"),
    ("cutouts {s}/mosaics --config {b}/none.yaml", 2, "none.yaml"),
    ("cutouts {s}/mosaics --window-sise 64", 2, "--window-sise"),
    ("cutouts {s}/mosaics --mask {{stem}}_none.fits", 2, "_none.fits"),
    ("cutouts {s}/mosaics --window-size 64 --workers 0", 2, "--workers"),
    ("cutouts", 2, "mosaics"),
    ("features beef", 2, "No artifact 'beef'"),
    ("train", 2, "cutouts"),
    ("simulate {b}/sim --preset huge", 2, "huge"),
    ("simulate {b}/sim --set sise=3", 2, "'sise'; did you mean size"),
    ("simulate {b}/sim --set bmaj=1", 2, "simulate: bmin"),
    ("run {b}/none.yaml", 2, "none.yaml"),
    ("show beef", 2, "No artifact"),
    ("rm beef", 2, "No artifact"),
    ("nonsense", 2, "nonsense"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code", "says"), CASES, ids=[c[0].split()[0] + str(i) for i, c in enumerate(CASES)])
def test_one_sentence(words: str, code: int | None, says: str, broken: Path, survey: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = skysift(*words.format(b=broken, s=survey).split(), store=store)
    assert done.code == code if code is not None else done.code in (1, 2), done
    assert done.out == ""
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("skysift: error: ")]
    assert len(lines) == 1, done.err
    assert says in lines[0]
    assert not [p for p in store.glob("*/*/manifest.json") if ".partial" not in p.parts]


@pytest.mark.slow
def test_full_disk_and_no_permission(survey: Path) -> None:
    done = skysift("cutouts", survey / "mosaics", "--window-size", "64", "--store", "/proc/store")
    assert done.code in (1, 2)
    assert "/proc/store" in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_debug_shows_where(tmp_path: Path) -> None:
    done = skysift("show", "beef", "--store", tmp_path)
    assert "Traceback" not in done.err
    assert "Traceback" in skysift("cutouts", "nowhere", "--debug", "--store", tmp_path).err


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_a_disk_that_is_full(survey: Path, tmp_path: Path) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        done = skysift("cutouts", survey / "mosaics", "--window-size", "32", "--store", disk / "store")
        assert done.code == 1, done
        assert "no space left" in done.err
        assert not list((disk / "store").glob("cutouts/*"))
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        again = skysift("cutouts", survey / "mosaics", "--window-size", "32", "--store", disk / "store")
        fresh = skysift("cutouts", survey / "mosaics", "--window-size", "32", "--store", tmp_path / "fresh")
        assert again.id == fresh.id
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
