"""Components and peaks, labels of windows, labelled frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from photutils.segmentation import detect_sources

from skysift.errors import SkysiftError
from skysift.sky.simulate import (
    WU_CLASSES,
    SurveyConfig,
    frames,
    label_windows,
    riggi_frames,
    seams_of,
    simulate_mosaic,
    wu_frames,
)
from skysift.sky.simulate.coverage import coverage, seam_mask
from skysift.sky.simulate.frames import Frame
from skysift.sky.simulate.labelled import WU_STREAM, _propose
from skysift.sky.simulate.measure import count_components, count_peaks
from skysift.sky.simulate.mosaic import streams, survey_beam
from skysift.sky.simulate.render import paint_cloud
from skysift.sky.simulate.truth import TRUTH_SCHEMA, truth_table


def blobs(*places: tuple[float, float, float], width: float = 3.0) -> np.ndarray:
    y, x = np.mgrid[:60, :90]
    return np.sum([h * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)) for cx, cy, h in places], axis=0)


@pytest.mark.parametrize(
    ("places", "components", "peaks"),
    [
        ([(45, 30, 20)], 1, 1),
        ([(40, 30, 20), (52, 30, 15)], 1, 2),
        ([(20, 30, 20), (60, 30, 15)], 2, 2),
        ([(20, 30, 20), (32, 30, 15), (70, 30, 15)], 2, 3),
        ([(15, 30, 20), (45, 30, 8), (75, 30, 15)], 3, 3),
        ([(40, 30, 20), (44, 30, 20)], 1, 1),
        ([(45, 30, 2.9)], 0, 0),
        ([(30, 30, 20), (30, 30, 20)], 1, 1),
    ],
)
def test_components_and_peaks(places: list[tuple[float, float, float]], components: int, peaks: int) -> None:
    data = blobs(*places)
    assert count_components(data, 3.0) == components
    assert count_peaks(data, 3.0, 2.0) == peaks


def test_a_bump_below_the_prominence_is_no_peak() -> None:
    data = blobs((40, 30, 20), (55, 30, 12))
    saddle = data[30, 40:56].min()
    top = data[30, 50:60].max()
    assert count_peaks(data, 1.0, float(top - saddle) * 0.99) == 2
    assert count_peaks(data, 1.0, float(top - saddle) * 1.01) == 1


def test_flat_tops_count_once() -> None:
    data = np.zeros((20, 20))
    data[5:9, 5:9] = 10.0
    assert count_peaks(data, 3.0, 2.0) == 1


@pytest.fixture(scope="module")
def config() -> SurveyConfig:
    return SurveyConfig.preset("demo", seed=6, frames_per_class=4)


@pytest.mark.parametrize("name", WU_CLASSES)
def test_wu_classes_hold_by_photutils(name: str, config: SurveyConfig) -> None:
    beam = survey_beam(config)
    for number in range(3):
        stream = np.random.SeedSequence([config.seed, WU_STREAM, WU_CLASSES.index(name), number])
        source, row = _propose(name, config, beam, np.random.Generator(np.random.PCG64(stream)))
        data, _, _ = paint_cloud(source.cloud, 47.5, 47.5, source.flux, beam)
        assert data.max() / config.rms == pytest.approx(row["snr"])
        islands = detect_sources(data, 3 * config.rms, n_pixels=1, connectivity=8)
        assert islands.n_labels == int(name[0])
        assert reference_peaks(data / config.rms, 3.0, 2.0) == int(name[3])


def reference_peaks(data: np.ndarray, threshold: float, prominence: float) -> int:
    """Flood from the top: a peak ends where its basin meets that of a higher one."""
    basin: dict[tuple[int, int], tuple[float, int]] = {}
    kept = 0
    for flat in np.argsort(-data, axis=None):
        y, x = divmod(int(flat), data.shape[1])
        if data[y, x] <= threshold:
            break
        around = {basin[p] for p in ((y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)) if p in basin}
        highest = max(around, default=(float(data[y, x]), int(flat)))
        for lower in around - {highest}:
            kept += lower[0] - data[y, x] >= prominence
            basin |= {place: highest for place, owner in basin.items() if owner == lower}
        basin[y, x] = highest
    return kept + len(set(basin.values()))


def test_wu_frames(config: SurveyConfig) -> None:
    made = wu_frames(config)
    assert made.images.shape == (24, 96, 96)
    assert made.images.dtype == np.float32
    assert np.isfinite(made.images).all()
    assert np.bincount(made.labels).tolist() == [4] * 6
    assert made.several.sum() == 24
    for row, image in zip(made.table.to_pylist(), made.images, strict=True):
        assert row["label"] == WU_CLASSES[made.labels[row["index"]]]
        assert 0 <= row["x0"] <= 96 - row["width"]
        assert 0 <= row["y0"] <= 96 - row["height"]
        box = image[row["y0"] : row["y0"] + row["height"], row["x0"] : row["x0"] + row["width"]]
        assert box.max() > (row["snr"] - 5) * config.rms  # the source's peak is in its box
    again = wu_frames(config.model_copy(update={"frames_per_class": 2}))
    np.testing.assert_array_equal(again.images[0], made.images[0])  # a frame does not depend on how many there are
    np.testing.assert_array_equal(again.images[2], made.images[4])


def test_riggi_frames(config: SurveyConfig) -> None:
    made = riggi_frames(config)
    assert made.images.shape == (40, 96, 96)
    rows = made.table.to_pylist()
    for row, label, several in zip(rows, made.labels, made.several, strict=True):
        assert row["label"] == made.classes[label]
        assert [made.classes[i] for i in np.flatnonzero(several)] == row["labels"]
        assert row["label"] in row["labels"]
        assert row["labels"] == ["BACKGROUND"] or "BACKGROUND" not in row["labels"]
    empty = [row for row in rows if row["label"] == "BACKGROUND"]
    assert all(not row["sources"] for row in empty)
    noise = made.images[made.labels == 0] / config.rms
    assert np.nanmax(noise) < 22
    assert min(row["valid_fraction"] for row in empty) < 1
    artefacts = made.images[made.labels == made.classes.index("ARTEFACT")]
    assert (artefacts.max(axis=(1, 2)) > config.artefact_snr * config.rms).all()


def test_frames_too_small_for_their_classes_are_refused() -> None:
    with pytest.raises(SkysiftError, match="make frame_size larger"):
        wu_frames(SurveyConfig.preset("tiny", frame_size=32, bmaj=30.0, bmin=30.0, frames_per_class=1))


def truth_rows(*rows: dict[str, object]) -> object:
    blank: dict[str, object] = {field.name: 0 for field in TRUTH_SCHEMA} | {"mosaic": "m", "class": "compact"}
    every = [blank | row for row in rows]
    return truth_table({field.name: [row[field.name] for row in every] for field in TRUTH_SCHEMA})


def box(kind: str, x: int, y: int, side: int, snr: float = 20.0, pixels: int = 0) -> dict[str, object]:
    sides = {"box_x0": x, "box_y0": y, "box_width": side, "box_height": side}
    return {"class": kind, "snr": snr, "mask_pixels": pixels or side**2} | sides


def test_label_windows() -> None:
    truth = truth_rows(
        box("compact", 10, 10, 8),
        box("fr2", 100, 10, 30),
        box("wat", 162, 10, 12),
        box("diffuse", 230, 10, 30),
        box("diffuse_large", 300, 0, 100),
        box("ring", 410, 10, 40),
        box("filament", 510, 10, 40),
        box("artefact", 610, 10, 40),
        box("shell", 710, 10, 30),
        box("compact", 820, 20, 8, snr=4.0),
    )
    windows = [(x, 0, 64, 64) for x in (0, 90, 158, 225, 318, 400, 500, 600, 700, 800)]
    assert label_windows(truth, windows, beam_area=20.0) == [
        ["COMPACT"],
        ["EXTENDED", "RADIO-GALAXY"],
        ["COMPACT", "RADIO-GALAXY"],
        ["DIFFUSE"],
        ["DIFFUSE-LARGE"],
        ["EXTENDED", "PECULIAR"],
        ["EXTENDED", "FILAMENT"],
        ["ARTEFACT"],
        ["DIFFUSE"],
        ["BACKGROUND"],
    ]
    # a window that shows only a corner of a source is not labelled by it
    assert label_windows(truth, [(125, 35, 20, 20), (0, 0, 64, 64)], beam_area=20.0)[0] == ["BACKGROUND"]


def test_mosaicking_is_labelled_where_seams_show() -> None:
    """Against the zero level itself: none where it is flat, always where it differs by 1.5 rms between two sides."""
    config = SurveyConfig.preset("survey", seed=5, size=1024, pointings=3, seams=2.0)
    depth = coverage(config, survey_beam(config), streams(config, 0)["coverage"])
    seams, truth, side = seams_of(config, 0), truth_rows(), 96
    windows = [(x, y, side, side) for y in range(0, 1024 - side, 24) for x in range(0, 1024 - side, 24)]
    windows = [(x, y, w, h) for x, y, w, h in windows if np.isfinite(depth.rms[y : y + h, x : x + w]).all()]
    found = label_windows(truth, windows, beam_area=20.0, seams=seams)
    flat = crossed = 0
    for (x, y, w, h), labels in zip(windows, found, strict=True):
        level, noise = depth.offset[y : y + h, x : x + w], float(depth.rms[y : y + h, x : x + w].max())
        sides = ((level[:, :9], level[:, -9:]), (level[:9], level[-9:]))
        step = max(abs(float(np.median(a)) - float(np.median(b))) for a, b in sides)
        around = depth.offset[max(y - 6, 0) : y + h + 6, max(x - 6, 0) : x + w + 6]
        if np.ptp(around) == 0:
            flat += 1
            assert labels == ["BACKGROUND"]
        elif step > 1.5 * noise:
            crossed += 1
            assert labels == ["MOSAICKING"]
    assert min(flat, crossed) > 50
    assert label_windows(truth, windows, beam_area=20.0) == [["BACKGROUND"]] * len(windows)
    unseen = seams_of(config.model_copy(update={"seams": 0.1}), 0)
    assert label_windows(truth, windows, beam_area=20.0, seams=unseen) == [["BACKGROUND"]] * len(windows)


def test_windows_over_the_edge_and_short_pieces_of_seams() -> None:
    seams = np.zeros((100, 100), dtype=bool)
    seams[40:44, :25] = True
    windows = [(0, 20, 64, 64), (10, 20, 64, 64), (-40, 20, 64, 64), (60, 60, 64, 64)]
    found = label_windows(truth_rows(), windows, beam_area=20.0, seams=seams)
    assert found == [["MOSAICKING"], ["BACKGROUND"], ["MOSAICKING"], ["BACKGROUND"]]


def test_frames_of_mosaicking_are_labelled_by_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames' recipe makes seams that the rule for windows of mosaics sees too."""
    seen = []

    def look(config: SurveyConfig, rng: np.random.Generator, sources: list[object], **made: Any) -> Frame:
        seams = seam_mask(made["offset"], made["rms"], survey_beam(config))
        whole = [(0, 0, config.frame_size, config.frame_size)]
        seen.append(label_windows(truth_rows(), whole, beam_area=20.0, seams=seams)[0] == ["MOSAICKING"])
        return Frame(made["offset"], [], [])

    monkeypatch.setattr(frames, "render_frame", look)
    rng = np.random.default_rng(0)
    for _ in range(100):
        frames.RECIPES["MOSAICKING"](SurveyConfig.preset("survey"), rng)
    assert np.mean(seen) > 0.97


def test_rare_classes_can_be_kept_rare() -> None:
    config = SurveyConfig.preset("survey", seed=3, size=2048, rings=0.3, shells=0.3, diffuse=0.3, filaments=0.3)
    made = simulate_mosaic(config, 0)
    starts = range(0, 2048 - 63, 32)
    windows = [(x, y, 64, 64) for y in starts for x in starts if np.isfinite(made.image[y + 32, x + 32])]
    labels = label_windows(made.truth, windows, beam_area=survey_beam(config).area)
    rare = [bool({"DIFFUSE", "DIFFUSE-LARGE", "PECULIAR", "FILAMENT"} & set(found)) for found in labels]
    assert 0 < np.mean(rare) < 0.02
