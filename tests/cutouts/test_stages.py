"""The stages: what they write, count and refuse; equal bytes however the work is done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from cutout_maps import header, noise, write_map

from skysift.cutouts import measure as measure_module
from skysift.cutouts import tasks, work
from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.schema import cutout_ids
from skysift.cutouts.stages import Cutouts, Merge, Pack
from skysift.engine import Engine
from skysift.errors import RequestError
from skysift.store import Store
from skysift.store.digest import file_digest, hex_digest
from skysift.store.work import Threads


@pytest.fixture
def survey(tmp_path: Path) -> list[str]:
    """Return three mosaics, one with a blank corner."""
    folder = tmp_path / "survey"
    folder.mkdir()
    paths = []
    for i in range(3):
        pixels = noise(i)
        if i == 1:
            pixels[:150, :150] = np.nan
        paths.append(write_map(folder / f"field{i}.fits", pixels, ra=150.0 + i, dec=-30.0 + i))
    return paths


def files(artifact) -> dict[str, str]:
    return {p.name: file_digest(p) for p in artifact.folder.iterdir() if p.name != "run.json"}


def test_sliding_windows_of_a_survey(tmp_path: Path, survey: list[str]) -> None:
    store = Store(tmp_path / "store")
    made = store.run(Cutouts(mosaics=tuple(survey), window_size=(128, 64), overlap=0.5))
    per_map = 4 * 4 + 9 * 9
    assert made.counts["windows"] == 3 * per_map
    assert made.counts["rows"] + made.counts["dropped_invalid"] == 3 * per_map
    assert made.counts["dropped_invalid"] > 0
    catalogue = Catalogue.open(made)
    windows = catalogue.windows
    keys = np.stack([catalogue.mosaic_rows(), windows[:, 2], windows[:, 1], windows[:, 0]], axis=1)
    assert (np.lexsort(keys.T[::-1]) == np.arange(len(keys))).all()
    assert catalogue.mosaics.column("mosaic").to_pylist() == sorted(catalogue.mosaics.column("mosaic").to_pylist())
    assert catalogue.mosaics.column("bmaj").to_pylist() == pytest.approx([6 / 3600] * 3)
    located = {store.sources.fingerprint(path): path for path in survey}
    for row in catalogue.table.take([0, 57, 140, len(catalogue) - 1]).to_pylist():
        path = located[row["mosaic"]]
        i = survey.index(path)
        pixels = noise(i)
        if i == 1:
            pixels[:150, :150] = np.nan
        crop = pixels[row["y0"] : row["y0"] + row["height"], row["x0"] : row["x0"] + row["width"]]
        finite = crop[np.isfinite(crop)]
        assert row["valid_fraction"] == pytest.approx(finite.size / crop.size)
        assert row["median"] == np.median(finite)
        assert row["peak"] == finite.max()
        wcs = WCS(header(300, 300, ra=150.0 + i, dec=-30.0 + i))
        sky = wcs.pixel_to_world_values(row["x0"] + (row["width"] - 1) / 2, row["y0"] + (row["height"] - 1) / 2)
        assert (row["ra"], row["dec"]) == pytest.approx(tuple(map(float, sky)), abs=1e-9)
        text = f"{row['mosaic']},0,0,{row['x0']},{row['y0']},{row['width']},{row['height']}"
        assert row["cutout_id"] == hex_digest(text.encode(), 8)
        assert row["complexity"] is None
        assert row["labels"] is None


def test_units_and_ucds_are_in_the_columns(tmp_path: Path, survey: list[str]) -> None:
    import pyarrow.parquet as pq

    made = Store(tmp_path / "store").run(Cutouts(mosaics=(survey[0],)))
    schema = pq.read_schema(made.path("catalogue.parquet"))
    assert schema.field("ra").metadata[b"unit"] == b"deg"
    assert schema.field("ra").metadata[b"ucd"] == b"pos.eq.ra;meta.main"
    assert schema.field("x0").metadata[b"unit"] == b"pix"
    assert all(b"description" in field.metadata for field in schema)
    assert "path" not in pq.read_schema(made.path("mosaics.parquet")).names


def test_equal_bytes_for_any_order_store_and_number_of_threads(
    tmp_path: Path, survey: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "TASK_PIXELS", 20_000)
    one = Store(tmp_path / "a").run(Cutouts(mosaics=tuple(survey)), engine=Threads(1))
    two = Store(tmp_path / "b").run(Cutouts(mosaics=tuple(survey[::-1])), engine=Threads(3))
    assert one.id == two.id
    assert files(one) == files(two)


def test_a_stopped_run_carries_on_to_the_same_bytes(
    tmp_path: Path, survey: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "TASK_PIXELS", 20_000)
    stage = Cutouts(mosaics=tuple(survey), min_valid=0.9)
    whole = Store(tmp_path / "a").run(stage)
    measure, calls = measure_module.measure, []

    def dies(task, out: Path) -> None:
        calls.append(out)
        if len(calls) == 3:
            raise KeyboardInterrupt
        measure(task, out)

    store = Store(tmp_path / "b")
    monkeypatch.setattr(work, "measure", dies)
    with pytest.raises(Exception, match="carries on"):
        store.run(stage, engine=Threads(1))
    resumed = store.run(stage, engine=Threads(1))
    assert files(resumed) == files(whole)
    assert len({out.name.split("-")[-1] for out in calls}) == len(calls) - 1  # the two finished shards stayed


@pytest.mark.slow
def test_equal_bytes_with_two_worker_processes(tmp_path: Path) -> None:
    paths = tuple(write_map(tmp_path / f"m{i}.fits", noise(i, (2200, 2100))) for i in range(2))
    alone = Store(tmp_path / "a").run(Cutouts(mosaics=paths), engine=Threads(1))
    with Engine(workers=2) as engine:
        store = Store(tmp_path / "b")
        shared = store.run(Cutouts(mosaics=paths), engine=engine)
        packed = store.run(Pack(cutouts=shared.id), engine=engine)
    assert files(alone) == files(shared)
    again = Store(tmp_path / "a")
    assert files(again.run(Pack(cutouts=alone.id), engine=Threads(1))) == files(packed)


def test_boxes_around_sources(tmp_path: Path, survey: list[str]) -> None:
    wcs = WCS(header(300, 300))
    x, y = np.array([100.3, 2.3, 250.3]), np.array([100.3, 200.3, 40.3])
    sky = wcs.pixel_to_world_values(x, y)
    rows = [f"{a:.9f},{d:.9f},{s},{k}" for a, d, s, k in zip(*sky, [60, 10, 120], ["FR-I", "", "FR-II"], strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["ra,dec,maj_arcsec,label", *rows, "10.0,10.0,5,far"]) + "\n")
    store = Store(tmp_path / "store")
    made = store.run(
        Cutouts(mosaics=tuple(survey), sources=str(tmp_path / "list.csv"), zoom=1.5, min_size=20, min_valid=0.5)
    )
    assert made.counts["sources"] == 4
    assert made.counts["off_map"] == 1
    assert made.counts["rows"] == 3
    catalogue = Catalogue.open(made)
    order = np.argsort(catalogue.windows[:, 2])
    # 1.5 x 60 arcsec / 2 arcsec = 45 pixels; 1.5 x 10 / 2 < 20; 1.5 x 120 / 2 = 90
    assert catalogue.windows[order, 2].tolist() == [20, 45, 90]
    assert [catalogue.labels[i] for i in order] == [[], ["FR-I"], ["FR-II"]]
    assert (catalogue.windows[order[0], 0]) < 0
    assert catalogue.column("valid_fraction")[order[0]] == pytest.approx(13 / 20)
    centres = SkyCoord(catalogue.column("ra")[order], catalogue.column("dec")[order], unit="deg")
    truth = SkyCoord(*(s[[1, 0, 2]] for s in sky), unit="deg")
    assert (centres.separation(truth).arcsec < 1.5).all()  # half a pixel each way


def test_sources_off_every_map(tmp_path: Path, survey: list[str]) -> None:
    (tmp_path / "list.csv").write_text("ra,dec\n10.0,10.0\n11.0,10.0\n")
    with pytest.raises(RequestError, match="None of the 2 sources"):
        Store(tmp_path / "s").run(Cutouts(mosaics=tuple(survey), sources=str(tmp_path / "list.csv")))


def test_empty_source_list(tmp_path: Path, survey: list[str]) -> None:
    (tmp_path / "list.csv").write_text("ra,dec\n")
    with pytest.raises(RequestError, match=r"list\.csv"):
        Store(tmp_path / "s").run(Cutouts(mosaics=tuple(survey), sources=str(tmp_path / "list.csv")))


def test_maps_without_data(tmp_path: Path, survey: list[str]) -> None:
    blank = write_map(tmp_path / "blank.fits", np.full((200, 200), np.nan, np.float32))
    with pytest.raises(RequestError, match=r"blank\.fits: no finite pixel"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(blank,)))
    made = Store(tmp_path / "s").run(Cutouts(mosaics=(blank, survey[0])))
    assert made.counts["empty_mosaics"] == 1
    assert made.counts["dropped_invalid"] == 9
    assert "blank.fits" in made.run["warnings"][0]


def test_window_larger_than_the_mosaic(tmp_path: Path, survey: list[str]) -> None:
    with pytest.raises(RequestError, match=r"field\d\.fits"):
        Store(tmp_path / "s").run(Cutouts(mosaics=tuple(survey), window_size=(512,)))
    assert not list((tmp_path / "s").glob("cutouts/*"))


def test_no_row_left(tmp_path: Path) -> None:
    pixels = noise(0, (256, 256))
    pixels[::2] = np.nan
    path = write_map(tmp_path / "m.fits", pixels)
    with pytest.raises(RequestError, match="lower --min-valid"):
        Store(tmp_path / "s").run(Cutouts(mosaics=(path,), min_valid=0.8))


def test_zeros_positions_unit_and_complexity(tmp_path: Path) -> None:
    pixels = noise(0, (256, 256))
    pixels[:, :64] = 0
    pixels[150:170, 150:170] += 200
    path = write_map(tmp_path / "m.fits", pixels)
    store = Store(tmp_path / "s")
    plain = Catalogue.open(store.run(Cutouts(mosaics=(path,))))
    made = Catalogue.open(
        store.run(Cutouts(mosaics=(path,), zero_is_nan=True, positions="ignore", complexity=True, min_valid=0.4))
    )
    assert plain.column("valid_fraction").tolist() == [1.0] * 9
    assert made.column("valid_fraction").tolist() == [0.5, 1.0, 1.0] * 3
    assert np.isnan(made.column("ra")).all()
    assert made.table.column("healpix29").null_count == 9
    assert made.mosaics.column("pixel_scale").to_pylist() == pytest.approx([2.0])
    assert made.mosaics.column("zero_is_nan").to_pylist() == [True]
    complexity = made.column("complexity")
    assert complexity[8] > complexity[1]  # the source against noise


def test_merge_drops_repeats_and_keeps_the_brighter_neighbour(tmp_path: Path, survey: list[str]) -> None:
    store = Store(tmp_path / "s")
    a = store.run(Cutouts(mosaics=tuple(survey[:2]), overlap=0.0))
    b = store.run(Cutouts(mosaics=tuple(survey[1:]), overlap=0.5))
    merged = store.run(Merge(catalogues=(b.id, a.id)))
    assert merged.id == store.run(Merge(catalogues=(a.id, b.id))).id
    ids = [set(Catalogue.open(x).column("cutout_id")) for x in (a, b)]
    assert merged.counts["rows"] == len(ids[0] | ids[1])
    assert merged.counts["repeats"] == len(ids[0] & ids[1]) > 0
    assert merged.inputs == tuple(sorted([a.id, b.id]))
    assert merged.counts["mosaics"] == 3
    thin = store.run(Merge(catalogues=(a.id, b.id), min_separation=200.0))
    both, kept = Catalogue.open(merged), Catalogue.open(thin)
    sky = SkyCoord(kept.column("ra"), kept.column("dec"), unit="deg")
    apart = sky[:, None].separation(sky[None]).arcsec + np.eye(len(sky)) * 1e9
    assert apart.min() >= 200
    everything = SkyCoord(both.column("ra"), both.column("dec"), unit="deg")
    for i in np.flatnonzero(~np.isin(both.column("cutout_id"), kept.column("cutout_id"))):
        near = everything[i].separation(sky).arcsec < 200
        assert kept.column("snr")[near].max() >= both.column("snr")[i]


def test_merge_joins_the_labels_of_equal_cutouts(tmp_path: Path, survey: list[str]) -> None:
    store = Store(tmp_path / "s")
    sky = WCS(header(300, 300)).pixel_to_world_values(150.0, 150.0)
    made = []
    for name in ("FR-I", "bent"):
        (tmp_path / f"{name}.csv").write_text(f"ra,dec,label\n{sky[0]},{sky[1]},{name}\n")
        made.append(store.run(Cutouts(mosaics=(survey[0],), sources=str(tmp_path / f"{name}.csv"))).id)
    merged = Catalogue.open(store.run(Merge(catalogues=tuple(made))))
    assert [sorted(labels) for labels in merged.labels] == [["FR-I", "bent"]]


def test_ids_are_those_of_the_definition() -> None:
    found = cutout_ids("ab" * 16, 2, np.array([0, 7]), np.array([[-3, 5, 64, 64], [0, 0, 10, 20]]))
    assert found == [
        hex_digest(f"{'ab' * 16},2,0,-3,5,64,64".encode(), 8),
        hex_digest(f"{'ab' * 16},2,7,0,0,10,20".encode(), 8),
    ]


def test_golden_ids(tmp_path: Path) -> None:
    """A change of these is a change of every artifact: raise the stage's version on purpose, never by accident."""
    path = tmp_path / "m.npy"
    np.save(path, np.arange(64 * 64, dtype=np.float32).reshape(64, 64))
    store = Store(tmp_path / "s")
    assert store.identify(Cutouts(mosaics=(str(path),), window_size=(32,))) == "70e9e859d5fe559491cdeaf519ce3879"
    made = store.run(Cutouts(mosaics=(str(path),), window_size=(32,)))
    assert store.identify(Merge(catalogues=(made.id,))) == "2f4d6f5876430deb6922b7a507cd8550"
    assert store.identify(Pack(cutouts=made.id)) == "7bf4718c449ce3a039fd401f20371b6f"


def test_estimate_counts_windows_from_headers(tmp_path: Path, survey: list[str]) -> None:
    stage = Cutouts(mosaics=tuple(survey), window_size=(64, 128))
    found = stage.estimate(0, {"mosaics": survey})
    assert found["rows"] == 3 * (4 * 4 + 9 * 9)
    assert found["disk_bytes"] > 0
    assert 1e8 < found["memory_bytes"] < 1.5e9


def test_several_windows_of_a_cube_plane(tmp_path: Path) -> None:
    cube = np.stack([noise(0, (130, 140)), noise(1, (130, 140))])
    path = write_map(tmp_path / "cube.fits", cube)
    store = Store(tmp_path / "s")
    made = store.run(Cutouts(mosaics=(path,), plane=1, overlap=0.0))
    row = Catalogue.open(made).table.to_pylist()[0]
    assert row["plane"] == 1
    assert row["median"] == np.median(cube[1][:128, :128])
    merged = store.run(Merge(catalogues=(made.id, store.run(Cutouts(mosaics=(path,), plane=0, overlap=0.0)).id)))
    assert Catalogue.open(merged).mosaics.column("plane").to_pylist() == [0, 1]
