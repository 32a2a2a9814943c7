"""Windows of one object become one candidate: painted skies whose objects are known."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.discovery.candidates import Candidates, first_windows, group_windows
from skysift.discovery.emission import Emission, measure_emission
from skysift.discovery.stages import Anomalies
from skysift.store.artifact import Artifact
from skysift.store.fields import Input
from skysift.store.stage import Stage
from skysift.store.store import Store

SCALE = 5e-4
BEAM = 3 * SCALE


def header(crval: tuple[float, float] = (150.0, 2.0)) -> fits.Header:
    found = fits.Header()
    found.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRPIX1=128.0, CRPIX2=128.0)
    found.update(CRVAL1=crval[0], CRVAL2=crval[1], CDELT1=-SCALE, CDELT2=SCALE, CUNIT1="deg", CUNIT2="deg")
    found.update(BUNIT="Jy/beam", BMAJ=BEAM, BMIN=BEAM, BPA=0.0)
    return found


def paint(sources: np.ndarray, seed: int, side: int = 256) -> np.ndarray:
    """Noise of 1 and Gaussians of x, y, peak, sigma [pixel]."""
    y, x = np.mgrid[:side, :side]
    image = np.random.default_rng(seed).standard_normal((side, side))
    for cx, cy, peak, sigma in sources:
        image += peak * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return image.astype(np.float32)


def sky(seed: int, count: int = 14) -> np.ndarray:
    """Sources at least 40 pixels apart, of 50 to 1000 times the noise."""
    rng = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < count:
        place = rng.uniform(6, 249, 2)
        if all(np.linalg.norm(place - other) > 40 for other in places):
            places.append(place)
    return np.column_stack([places, rng.uniform(50, 1000, count), rng.uniform(1.3, 3, count)])


def cut(store: Store, *paths: Path, **options: Any) -> tuple[Artifact, Catalogue, PixelSource]:
    made = store.run(Cutouts(mosaics=tuple(map(str, paths)), window_size=(64,), overlap=0.5, **options))
    return made, Catalogue.open(made), PixelSource.open(made, store.sources.locate)


def grouped(catalogue: Catalogue, pixels: PixelSource) -> tuple[Candidates, Emission]:
    emission = measure_emission(pixels, range(len(pixels)))
    return group_windows(catalogue, emission), emission


def shown(catalogue: Catalogue, sources: np.ndarray) -> list[int]:
    """The source with the brightest pixel in each window, as painted; -1 without one, -2 where it is close."""
    found = []
    for x0, y0, width, height in catalogue.windows.tolist():
        y, x = np.mgrid[y0 : y0 + height, x0 : x0 + width]
        tops = [(peak * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s**2))).max() for cx, cy, peak, s in sources]
        second, first = np.sort(tops)[-2:]
        clear = first > 15 and first > 1.1 * second
        found.append(int(np.argmax(tops)) if clear else -1 if first < 1 else -2)
    return found


def whole(window: np.ndarray, source: np.ndarray) -> bool:
    """Whether all of a source's island lies in a window or beyond the map's edge."""
    low, high = window[:2], window[:2] + window[2:]
    return bool(((source[:2] - low >= 12) | (low == 0)).all() and ((high - source[:2] > 12) | (high == 256)).all())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_source_is_one_candidate(seed: int, tmp_path: Path) -> None:
    sources = sky(seed)
    path = tmp_path / "field.fits"
    fits.writeto(path, paint(sources, seed), header())
    _, catalogue, pixels = cut(Store(tmp_path / "store"), path)
    candidates, _ = grouped(catalogue, pixels)
    truth = shown(catalogue, sources)
    # isolated: the brightest of some window that shows all of it
    isolated = {s for row, s in enumerate(truth) if s >= 0 and whole(catalogue.windows[row], sources[s])}
    by_source: dict[int, set[int]] = {source: set() for source in isolated}
    alone: set[int] = set()
    for row, source in enumerate(truth):
        if source in isolated:
            by_source[source].add(int(candidates.of_window[row]))
        elif source == -1:
            alone.add(int(candidates.of_window[row]))
    assert all(len(found) == 1 for found in by_source.values()), by_source
    numbers = [next(iter(found)) for found in by_source.values()]
    assert len(set(numbers)) == len(numbers) >= 8
    assert not set(numbers) & alone
    wcs = WCS(header())
    for source, found in by_source.items():
        number = next(iter(found))
        x, y = wcs.world_to_pixel_values(candidates.ra[number], candidates.dec[number])
        assert np.hypot(x - sources[source, 0], y - sources[source, 1]) < 2.5
        assert candidates.snr[number] > 25
        # the window that shows it best has it nearer to its middle than any other of its windows
        windows = catalogue.windows[candidates.windows(number)]
        off = np.linalg.norm(windows[:, :2] + 31.5 - sources[source, :2], axis=1)
        best = catalogue.windows[candidates.best[number]]
        assert np.linalg.norm(best[:2] + 31.5 - sources[source, :2]) < off.min() + 2.5


def test_lineage_both_ways_and_order(tmp_path: Path) -> None:
    path = tmp_path / "field.fits"
    fits.writeto(path, paint(sky(3), 3), header())
    _, catalogue, pixels = cut(Store(tmp_path / "store"), path)
    candidates, emission = grouped(catalogue, pixels)
    table = candidates.table(catalogue).to_pylist()
    ids = catalogue.column("cutout_id").astype(str)
    for number, row in enumerate(table):
        members = sorted(ids[candidates.of_window == number])
        assert sorted(row["windows"]) == members
        assert row["candidate_id"] == hashlib.blake2b(",".join(members).encode(), digest_size=8).hexdigest()
        assert row["cutout_id"] in members
    assert sum(len(row["windows"]) for row in table) == len(catalogue)
    # the same candidates whatever the order of the rows
    order = np.random.default_rng(0).permutation(len(catalogue))
    turned, _ = grouped(catalogue.select(order), _Reordered(pixels, order))
    by_id = {row["candidate_id"]: row for row in turned.table(catalogue.select(order)).to_pylist()}
    assert set(by_id) == {row["candidate_id"] for row in table}
    for row in table:
        assert by_id[row["candidate_id"]]["cutout_id"] == row["cutout_id"]
        assert by_id[row["candidate_id"]]["ra"] == row["ra"]
    assert Emission.concat([emission, emission]).counts.tolist() == emission.counts.tolist() * 2


class _Reordered(PixelSource):
    def __init__(self, pixels: PixelSource, order: np.ndarray) -> None:
        self.pixels, self.order, self.windows = pixels, order, pixels.windows[order]

    def _read(self, rows: Any, images: Any) -> None:
        self.pixels._read(self.order[rows], images)

    def _read_masks(self, rows: Any) -> Any:
        return self.pixels._read_masks(self.order[rows])


def test_mosaics_that_overlap(tmp_path: Path) -> None:
    """The second mosaic's centre is 100 pixels east: what both show is joined on the sky, nothing else is."""
    first, second = header(), header((150.0 + 100.4 * SCALE / np.cos(np.radians(2.0)), 2.0))
    sources = np.array([[60.0, 120, 400, 2], [200.0, 60, 300, 2], [30.0, 200, 500, 2]])
    there = np.array(sources)
    ra, dec = WCS(first).pixel_to_world_values(sources[:, 0], sources[:, 1])
    there[:, 0], there[:, 1] = WCS(second).world_to_pixel_values(ra, dec)
    assert (there[:, 0] < 256).tolist() == [True, False, True]
    fits.writeto(tmp_path / "a.fits", paint(sources, 5), first)
    fits.writeto(tmp_path / "b.fits", paint(there, 6), second)
    _, catalogue, pixels = cut(Store(tmp_path / "store"), tmp_path / "a.fits", tmp_path / "b.fits")
    candidates, emission = grouped(catalogue, pixels)
    bright = np.unique(candidates.of_window[emission.snr > 50])
    assert len(bright) == 3
    mosaics = catalogue.column("mosaic")
    assert sorted(len(set(mosaics[candidates.windows(number)])) for number in bright) == [1, 2, 2]


def test_without_positions_or_emission(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "nowhere.fits", paint(sky(0), 0), header())
    _, catalogue, pixels = cut(Store(tmp_path / "store"), tmp_path / "nowhere.fits", positions="ignore")
    candidates, _ = grouped(catalogue, pixels)
    assert len(candidates) == len(catalogue)
    fits.writeto(tmp_path / "noise.fits", paint(np.empty((0, 4)), 1), header())
    _, catalogue, pixels = cut(Store(tmp_path / "store"), tmp_path / "noise.fits")
    candidates, emission = grouped(catalogue, pixels)
    assert emission.counts.sum() == 0
    assert len(candidates) == len(catalogue)
    assert np.isnan(candidates.snr).all()
    np.testing.assert_array_equal(candidates.ra, catalogue.column("ra"))
    empty = group_windows(catalogue.select([]), measure_emission(pixels, []))
    assert len(empty) == 0


def test_first_windows(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "one.fits", paint(np.array([[128.0, 128, 500, 2]]), 0), header())
    _, catalogue, pixels = cut(Store(tmp_path / "store"), tmp_path / "one.fits")
    x0, y0 = catalogue.windows[:, 0], catalogue.windows[:, 1]
    near = np.flatnonzero((abs(x0 + 31.5 - 128) < 32) & (abs(y0 + 31.5 - 128) < 32))
    assert len(near) == 4
    far = np.flatnonzero((x0 == 0) | (y0 == 0))[:2]
    rows = np.array([near[2], far[0], near[0], near[3], far[1], near[1]])
    assert first_windows(catalogue, pixels, rows).tolist() == [0, 1, 4]


class Made(Stage):
    """Features without meaning of real cutouts."""

    kind: ClassVar[str] = "features"
    cutouts: Annotated[str, Input("cutouts")]

    def run(self, context: Any) -> dict[str, Any]:
        source = context.input(self.cutouts)
        for name in ("catalogue.parquet", "mosaics.parquet"):
            shutil.copyfile(source.path(name), context.folder / name)
        x = np.random.default_rng(0).standard_normal((source.counts["rows"], 8)).astype(np.float32)
        np.save(context.folder / "features.npy", x)
        description = {"dim": 8, "rows": len(x), "dtype": "float32", "encoder": "made"}
        (context.folder / "features.json").write_text(json.dumps(description))
        return {"rows": len(x)}


def test_column_of_anomalies(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "field.fits", paint(sky(4), 4), header())
    store = Store(tmp_path / "store")
    cutouts, catalogue, pixels = cut(store, tmp_path / "field.fits")
    features = store.run(Made(cutouts=cutouts.id))
    ranked = store.run(Anomalies(features=features.id, score="pixel-std", candidates=True))
    expected, _ = grouped(catalogue, pixels)
    ids = catalogue.column("cutout_id").astype(str)
    scores = pq.read_table(ranked.path("scores.parquet"))
    assert scores.column("cutout_id").to_pylist() == ids.tolist()
    assert scores.column("candidate").to_pylist() == [expected.ids(ids)[number] for number in expected.of_window]
    assert pq.read_table(ranked.path("candidates.parquet")).to_pylist() == expected.table(catalogue).to_pylist()
    assert ranked.counts["candidates"] == len(expected)
    plain = store.run(Anomalies(features=features.id, score="pixel-std"))
    assert plain.id != ranked.id
    assert "candidate" not in pq.read_table(plain.path("scores.parquet")).column_names
