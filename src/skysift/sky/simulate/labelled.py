"""Labelled cutouts: the morphology classes of Wu et al. 2019 and the frame labels of Riggi et al. 2024."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skysift.errors import SkysiftError
from skysift.sky.simulate.beam import Beam, Float64
from skysift.sky.simulate.cloud import Cloud, knots_only
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.frames import RECIPES, render_frame
from skysift.sky.simulate.labels import RIGGI_LABELS
from skysift.sky.simulate.measure import count_components, count_peaks
from skysift.sky.simulate.mosaic import survey_beam
from skysift.sky.simulate.noise import Float32
from skysift.sky.simulate.painting import PROMINENCE, THRESHOLD
from skysift.sky.simulate.render import paint_cloud
from skysift.sky.simulate.sources import Extended, make_cloud
from skysift.sky.simulate.truth import write_table

WU_CLASSES = ("1C-1P", "1C-2P", "1C-3P", "2C-2P", "2C-3P", "3C-3P")
SETS = {"wu2019": WU_CLASSES, "riggi2024": RIGGI_LABELS}
WU_STREAM, RIGGI_STREAM = 1_000_001, 1_000_002  # keep the sets' random streams apart from the mosaics'
TRIES = 250

# what to propose for each class: source classes (detached: an FR-II without a bridge), largest angular sizes [beam]
PROPOSALS: dict[str, tuple[tuple[str, ...], tuple[float, float]]] = {
    "1C-1P": (("fr1", "nat", "fr2", "compact", "compact"), (2.0, 5.0)),
    "1C-2P": (("fr2", "fr2", "fr1", "wat"), (2.5, 7.0)),
    "1C-3P": (("fr2", "detached", "wat"), (3.5, 9.0)),
    "2C-2P": (("fr2", "detached"), (3.5, 11.0)),
    "2C-3P": (("detached", "detached", "fr2", "wat"), (4.0, 11.0)),
    "3C-3P": (("detached",), (5.0, 13.0)),
}


@dataclass(frozen=True)
class LabelledFrames:
    """A set of labelled cutouts.

    Parameters
    ----------
    name : str
        `wu2019` or `riggi2024`.
    images : ndarray of float32, shape (n, side, side)
        Brightness [Jy/beam], NaN where there is no data.
    classes : tuple of str
        Class names; `labels` are indices into them.
    labels : ndarray of int64, shape (n,)
        The class; for several labels a frame, the one that it was made for.
    several : ndarray of uint8, shape (n, classes)
        One where a label holds.
    table : pyarrow.Table
        One row an image: `index`, `label`, `labels`, and what was put in.
    scale : dict of str to float
        `pixel_scale`, `bmaj`, `bmin` [arcsec], `bpa` [deg], `rms` [Jy/beam].
    """

    name: str
    images: Float32
    classes: tuple[str, ...]
    labels: np.ndarray
    several: np.ndarray
    table: pa.Table
    scale: dict[str, float]


@dataclass(frozen=True)
class Part:
    """The frames of one class of a set.

    Parameters
    ----------
    images : ndarray of float32, shape (n, side, side)
        Brightness [Jy/beam].
    rows : list of dict
        Their rows of the label table, but for `index`.
    """

    images: Float32
    rows: list[dict[str, Any]]


def make_part(name: str, config: SurveyConfig, label: int) -> Part:
    """Simulate the frames of class number `label` of the set `wu2019` or `riggi2024`."""
    make = _wu_frame if name == "wu2019" else _riggi_frame
    made = [make(config, label, number) for number in range(config.frames_per_class)]
    return Part(np.stack([image for image, _ in made]), [row for _, row in made])


def assemble(name: str, config: SurveyConfig, parts: list[Part]) -> LabelledFrames:
    """Join the parts of a set, one a class in their order."""
    classes = SETS[name]
    rows = [row for part in parts for row in part.rows]
    labels = np.repeat(np.arange(len(classes)), [len(part.rows) for part in parts]).astype(np.int64)
    several = np.array([[label in row["labels"] for label in classes] for row in rows], dtype=np.uint8)
    table = pa.Table.from_pylist([{"index": index} | row for index, row in enumerate(rows)])
    return LabelledFrames(
        name, np.concatenate([part.images for part in parts]), classes, labels, several, table, _scale(config)
    )


def write_set(frames: LabelledFrames, folder: Path) -> None:
    """Write a set as `NAME.parquet`, `NAME.csv` and, last, `NAME.npz` (`images`, `labels`, `classes`, `several`)."""
    write_table(frames.table, folder / f"{frames.name}.parquet")
    write_table(frames.table, folder / f"{frames.name}.csv")
    path = folder / f"{frames.name}.npz"
    temporary = path.with_name(path.name + ".tmp")
    scale: dict[str, Any] = {key: np.float64(value) for key, value in frames.scale.items()}
    with temporary.open("wb") as stream:
        np.savez(
            stream,
            images=frames.images,
            labels=frames.labels,
            classes=np.array(frames.classes),
            several=frames.several,
            **scale,
        )
    temporary.replace(path)


def wu_frames(config: SurveyConfig) -> LabelledFrames:
    """Simulate source-centred cutouts of the morphology classes 1C-1P ... 3C-3P.

    C counts the islands of the source's own noise-free brightness above three rms, P the peaks in them that rise two
    rms above their saddles. Only sources whose class stays the same from 2.5 to 5 rms are taken, so that noise does
    not decide the class.

    Parameters
    ----------
    config : SurveyConfig
        Beam, noise, and `frames_per_class` (at least one) frames of `frame_size` pixels.

    Returns
    -------
    LabelledFrames
        The table adds `source` (class of the source), `snr`, `flux` [Jy], `angular_size` [arcsec] and the box of 1.5
        times the source's size (`x0 y0 width height` [pixel]) that Riggi et al. cut out.

    Raises
    ------
    SkysiftError
        The frames are too small for a class.

    References
    ----------
    Wu et al. 2019, MNRAS 482, 1211 (Radio Galaxy Zoo: CLARAN).
    """
    return assemble("wu2019", config, [make_part("wu2019", config, label) for label in range(len(WU_CLASSES))])


def riggi_frames(config: SurveyConfig) -> LabelledFrames:
    """Simulate frames with the labels BACKGROUND ... MOSAICKING, often several in a frame.

    Parameters
    ----------
    config : SurveyConfig
        Beam, noise, and `frames_per_class` (at least one) frames of `frame_size` pixels made for each label.

    Returns
    -------
    LabelledFrames
        The table adds `valid_fraction` and `sources`, the classes of the sources with at least five rms.

    Raises
    ------
    SkysiftError
        The frames are too small for a label.
    """
    return assemble("riggi2024", config, [make_part("riggi2024", config, label) for label in range(len(RIGGI_LABELS))])


def _wu_frame(config: SurveyConfig, label: int, number: int) -> tuple[Float32, dict[str, Any]]:
    """Simulate one frame of a morphology class; return it and its row."""
    name = WU_CLASSES[label]
    rng = _stream(config.seed, WU_STREAM, label, number)
    source, row = _propose(name, config, survey_beam(config), rng)
    frame = render_frame(config, rng, [source], keep_clear=(config.frame_size / 2, row.pop("clear")))
    return frame.image, {"label": name, "labels": [name]} | row


def _riggi_frame(config: SurveyConfig, label: int, number: int) -> tuple[Float32, dict[str, Any]]:
    """Simulate one frame that shows a label; return it and its row."""
    name = RIGGI_LABELS[label]
    rng = _stream(config.seed, RIGGI_STREAM, label, number)
    for _ in range(TRIES):
        frame = RECIPES[name](config, rng)
        if name in frame.labels:
            valid = float(np.isfinite(frame.image).mean())
            row = {"label": name, "labels": frame.labels, "valid_fraction": valid, "sources": frame.sources}
            return frame.image, row
    raise SkysiftError(f"no frame of {config.frame_size} pixels shows {name}: make frame_size larger")


def _propose(name: str, config: SurveyConfig, beam: Beam, rng: np.random.Generator) -> tuple[Extended, dict[str, Any]]:
    """Draw sources until one has the components and peaks of a class; return it and its table row."""
    wanted = (int(name[0]), int(name[3]))
    kinds, (low, high) = PROPOSALS[name]
    side = config.frame_size
    for _ in range(TRIES):
        kind = str(rng.choice(kinds))
        size = min(float(np.exp(rng.uniform(np.log(low), np.log(high)))) * beam.major, 0.62 * side)
        cloud = _compact(rng, beam) if kind == "compact" else make_cloud(kind, rng, size, beam)
        kind = "fr2" if kind == "detached" else kind
        data, x0, y0 = paint_cloud(cloud, (side - 1) / 2, (side - 1) / 2, 1.0, beam)
        unit = data / data.max()
        for snr in np.exp(rng.uniform(np.log(12), np.log(250), 5)):
            if all(_counts(unit * snr, level) == wanted for level in (THRESHOLD, 2.5, 5.0)):
                break
        else:
            continue
        above = np.argwhere(unit * snr > THRESHOLD)
        (top, left), (bottom, right) = above.min(axis=0), above.max(axis=0) + 1
        width = float(max(bottom - top, right - left))
        box = int(np.ceil(1.5 * width))
        if box > side:
            continue
        row: dict[str, Any] = {
            "source": kind,
            "snr": float(snr),
            "flux": float(snr * config.rms / data.max()),
            "angular_size": width * config.pixel_scale,
            "x0": int(min(max(x0 + (left + right - box) // 2, 0), side - box)),
            "y0": int(min(max(y0 + (top + bottom - box) // 2, 0), side - box)),
            "width": box,
            "height": box,
            "clear": 0.75 * width + beam.major,
        }
        return Extended(kind, (side - 1) / 2, (side - 1) / 2, row["flux"], cloud), row
    raise SkysiftError(
        f"no source of class {name} fits a frame of {side} pixels with a beam of {beam.major:.1f} pixels: "
        "make frame_size larger"
    )


def _counts(data: Float64, threshold: float) -> tuple[int, int]:
    components = count_components(data, threshold)
    return components, count_peaks(data, threshold, PROMINENCE) if components <= 3 else 0


def _compact(rng: np.random.Generator, beam: Beam) -> Cloud:
    """Draw a point source or a slightly resolved one."""
    return knots_only([(*rng.uniform(-0.5, 0.5, 2), 1.0, beam.minor * rng.uniform(0.02, 0.9))])


def _stream(*numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(numbers))))


def _scale(config: SurveyConfig) -> dict[str, float]:
    return {key: float(getattr(config, key)) for key in ("pixel_scale", "bmaj", "bmin", "bpa", "rms")}
