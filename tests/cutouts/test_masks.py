"""Masks beside mosaics: fractions, ids by content, pixels of masks, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cutout_maps import noise, write_map

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts, Pack
from skysift.errors import RequestError
from skysift.store import Store


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    for i in range(2):
        write_map(folder / f"m{i}.fits", noise(i))
        write_map(folder / f"m{i}_mask.fits", islands(i))
    return folder


def islands(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((300, 300)) < 0.01 * (seed + 1)).astype(np.int16) * 7


@pytest.mark.parametrize("overlap", [0.5, 0.9])
def test_fractions_and_pixels(tmp_path: Path, survey: Path, overlap: float) -> None:
    store = Store(tmp_path / "s")
    made = store.run(
        Cutouts(mosaics=(str(survey),), window_size=(64,), overlap=overlap, edge="drop", mask="{stem}_mask.fits")
    )
    assert made.counts["mosaics"] == 2  # the masks in the folder are no mosaics
    catalogue, source = Catalogue.open(made), PixelSource.open(made, store.sources.locate)
    names = {store.sources.fingerprint(str(survey / f"m{i}.fits")): i for i in range(2)}
    rows = [0, 3, len(catalogue) - 1]
    masks = source.read_masks(rows)
    for row, mask in zip(rows, masks, strict=True):
        x0, y0, w, h = catalogue.windows[row]
        truth = islands(names[catalogue.column("mosaic")[row]])[y0 : y0 + h, x0 : x0 + w] != 0
        np.testing.assert_array_equal(mask, truth)
        assert catalogue.column("mask_fraction")[row] == np.float32(truth.mean(dtype=np.float64))
    pack = store.run(Pack(cutouts=made.id))
    assert pack.counts["masks"] == 1
    for a, b in zip(PixelSource.open(pack).read_masks(rows), masks, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_mask_enters_the_id_by_content(tmp_path: Path, survey: Path) -> None:
    store = Store(tmp_path / "s")
    mosaic = str(survey / "m0.fits")
    plain = store.identify(Cutouts(mosaics=(mosaic,)))
    first = store.identify(Cutouts(mosaics=(mosaic,), mask="{stem}_mask.fits"))
    (survey / "elsewhere").mkdir()
    (survey / "m0_mask.fits").rename(survey / "elsewhere" / "m0.isl.fits")
    moved = store.identify(Cutouts(mosaics=(mosaic,), mask="elsewhere/{stem}.isl.fits"))
    write_map(survey / "m0_mask.fits", islands(5))
    other = store.identify(Cutouts(mosaics=(mosaic,), mask="{stem}_mask.fits"))
    assert first == moved
    assert len({plain, first, other}) == 3


def test_no_mask_and_a_mask_of_another_shape(tmp_path: Path, survey: Path) -> None:
    store = Store(tmp_path / "s")
    with pytest.raises(RequestError, match=r"m0\.fits has no mask"):
        store.run(Cutouts(mosaics=(str(survey / "m0.fits"),), mask="{stem}.isl.fits"))
    write_map(survey / "m0_mask.fits", islands(0)[:200])
    with pytest.raises(RequestError, match="300 x 200 pixels"):
        store.run(Cutouts(mosaics=(str(survey / "m0.fits"),), mask="{stem}_mask.fits"))


def test_without_masks_nothing_is_masked(tmp_path: Path, survey: Path) -> None:
    store = Store(tmp_path / "s")
    made = store.run(Cutouts(mosaics=(str(survey / "m0.fits"),)))
    assert Catalogue.open(made).table.column("mask_fraction").null_count == made.counts["rows"]
    assert not PixelSource.open(made, store.sources.locate).read_masks([0])[0].any()
    pack = store.run(Pack(cutouts=made.id))
    assert not PixelSource.open(pack).read_masks([0])[0].any()
