"""A survey on disk: files, bytes, resuming, bad requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from pydantic import ValidationError

from skysift.errors import RequestError
from skysift.sky.simulate import RIGGI_LABELS, WU_CLASSES, Survey, SurveyConfig, open_survey, simulate


@pytest.fixture(scope="module")
def config() -> SurveyConfig:
    return SurveyConfig.preset("tiny", seed=3, frames_per_class=1)


@pytest.fixture(scope="module")
def survey(config: SurveyConfig, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return simulate(tmp_path_factory.mktemp("survey") / "s", config)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_files_are_all_there(survey: Survey) -> None:
    made = set(contents(survey.folder))
    expected = {"config.json", "survey.json", "truth.parquet", "truth.csv"}
    expected |= {f"mosaics/mosaic_0{i}.fits" for i in range(2)} | {f"masks/mosaic_0{i}_mask.fits" for i in range(2)}
    expected |= {f"noise/mosaic_0{i}_rms.fits" for i in range(2)} | {f"truth/mosaic_0{i}.parquet" for i in range(2)}
    expected |= {f"labelled/{name}{end}" for name in ("wu2019", "riggi2024") for end in (".npz", ".parquet", ".csv")}
    assert made == expected


def test_mosaic_is_a_radio_image(survey: Survey) -> None:
    with fits.open(survey.mosaics[0]) as hdus:
        header, data = hdus[0].header, hdus[0].data
        assert data.shape == (256, 256)
        assert data.dtype == np.dtype(">f4")
        assert header["BUNIT"] == "JY/BEAM"
        assert header["BMAJ"] * 3600 == pytest.approx(12.0)
        assert header["CTYPE1"] == "RA---SIN"
        assert header["RESTFRQ"] == 1.4e9
        assert "DATE" not in header
        blank = np.isnan(data)
    assert 0.05 < blank.mean() < 0.5
    assert blank[0].all()
    assert blank[:, -1].all()
    with fits.open(survey.masks[0]) as hdus:
        assert hdus[0].data.dtype == np.dtype(">i4")
        assert hdus["ARTEFACTS"].data.shape == (256, 256)
        assert not hdus[0].data[blank].any()


def test_four_axes(tmp_path: Path) -> None:
    made = simulate(tmp_path / "s", SurveyConfig.preset("tiny", mosaics=1, axes=4, frames_per_class=0))
    with fits.open(made.mosaics[0]) as hdus:
        assert hdus[0].data.shape == (1, 1, 256, 256)
        assert [hdus[0].header[f"CTYPE{i}"] for i in (3, 4)] == ["FREQ", "STOKES"]
    assert made.labelled == {}


def test_same_bytes_again_and_with_two_workers(survey: Survey, config: SurveyConfig, tmp_path: Path) -> None:
    simulate(tmp_path / "again", config, workers=2)
    assert contents(tmp_path / "again") == contents(survey.folder)


def test_seed_and_fields_change_the_sky(survey: Survey, tmp_path: Path) -> None:
    other = simulate(tmp_path / "s", SurveyConfig.preset("tiny", seed=4, mosaics=1, frames_per_class=0))
    assert other.mosaics[0].read_bytes() != survey.mosaics[0].read_bytes()


def test_resumes_where_it_was_interrupted(survey: Survey, config: SurveyConfig, tmp_path: Path) -> None:
    folder = tmp_path / "s"

    def stop(done: int, total: int, what: str) -> None:
        assert 0 <= done < total
        if what == "mosaic 0":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(folder, config, progress=stop)
    with pytest.raises(RequestError, match="holds no finished simulated survey"):
        open_survey(folder)
    stamp = (folder / "mosaics" / "mosaic_00.fits").stat().st_mtime_ns
    (folder / "mosaics" / "mosaic_01.fits.tmp").write_bytes(b"half")
    seen: list[str] = []
    simulate(folder, config, progress=lambda done, total, what: seen.append(what))
    classes = [f"wu2019 {name}" for name in WU_CLASSES] + [f"riggi2024 {name}" for name in RIGGI_LABELS]
    assert seen == ["", "mosaic 1", *classes]
    assert (folder / "mosaics" / "mosaic_00.fits").stat().st_mtime_ns == stamp
    assert contents(folder) == contents(survey.folder)


def test_finished_survey_is_returned_at_once(survey: Survey, config: SurveyConfig) -> None:
    before = survey.mosaics[0].stat().st_mtime_ns
    again = simulate(survey.folder, config)
    assert again == survey == open_survey(survey.folder)
    assert survey.mosaics[0].stat().st_mtime_ns == before


def test_refuses_folders_that_hold_something_else(tmp_path: Path, survey: Survey) -> None:
    small = SurveyConfig.preset("tiny", mosaics=1, frames_per_class=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("important")
    with pytest.raises(RequestError, match="no simulated survey: choose an empty or new folder"):
        simulate(tmp_path / "mine", small, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="choose an empty or new folder"):
        simulate(tmp_path / "file", small)
    with pytest.raises(RequestError, match="another configuration"):
        simulate(survey.folder, small)


def test_overwrite_replaces_another_configuration(tmp_path: Path) -> None:
    first = SurveyConfig.preset("tiny", mosaics=2, frames_per_class=0, size=128)
    simulate(tmp_path / "s", first)
    made = simulate(tmp_path / "s", first.model_copy(update={"mosaics": 1}), overwrite=True)
    assert [p.name for p in (tmp_path / "s" / "mosaics").iterdir()] == ["mosaic_00.fits"]
    assert set(made.read_truth()["mosaic"].to_pylist()) == {"mosaic_00.fits"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bmin": 20.0}, "larger than bmaj"),
        ({"bmin": 5.0}, "fewer than 2.5 pixels"),
        ({"flux_min": 0.5, "flux_max": 0.4}, "not below flux_max"),
        ({"radio_galaxy_mix": (0, 0, 0, 0)}, "positive sum"),
        ({"size": 30_000, "pixel_scale": 3.0}, "wider than 20 degrees"),
        ({"rms": -1.0}, "greater than 0"),
        ({"rms": float("inf")}, "finite"),
    ],
)
def test_bad_configurations(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SurveyConfig.preset("tiny", **changes)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("sise", "has no field 'sise'; did you mean size or noise"),
        ("nosie", "did you mean noise"),
        ("flux", "did you mean flux_min or flux_max or radio_galaxy_flux_min"),
        ("primary_width", "did you mean primary_beam"),
        ("zzz", "it has seed, mosaics, size, .*frame_size"),
    ],
)
def test_unknown_fields(field: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        SurveyConfig.preset("tiny", **{field: 1})


def test_unknown_preset() -> None:
    with pytest.raises(RequestError, match="choose one of demo, survey, tiny"):
        SurveyConfig.preset("huge")


def test_labelled_sets_on_disk(survey: Survey) -> None:
    for name, classes in (("wu2019", WU_CLASSES), ("riggi2024", RIGGI_LABELS)):
        with np.load(survey.labelled[name]) as npz:
            assert tuple(npz["classes"]) == classes
            assert npz["images"].shape == (len(classes), 64, 64)
            assert npz["labels"].tolist() == list(range(len(classes)))
            assert npz["several"][np.arange(len(classes)), npz["labels"]].all()
        table = pq.read_table(survey.labelled[name].with_suffix(".parquet"))
        assert table["label"].to_pylist() == list(classes)
    lines = survey.labelled["riggi2024"].with_suffix(".csv").read_text().splitlines()
    assert len(lines) == 1 + len(RIGGI_LABELS)
