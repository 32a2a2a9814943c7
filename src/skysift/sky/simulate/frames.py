"""Single frames: a small field with chosen sources, for labelled sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skysift.sky.simulate.beam import Beam
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.counts import draw_fluxes, expected_counts
from skysift.sky.simulate.coverage import add_ridge
from skysift.sky.simulate.header import mosaic_header
from skysift.sky.simulate.labels import RIGGI_LABELS, label_windows
from skysift.sky.simulate.mosaic import observe, survey_beam
from skysift.sky.simulate.noise import Float32
from skysift.sky.simulate.painting import Canvas, finish_truth, place_artefacts, place_compacts, place_extended
from skysift.sky.simulate.render import peak_brightness
from skysift.sky.simulate.sources import Compacts, Extended, draw_compacts, flux_for_peak, make_cloud

NOTHING = np.empty(0)


@dataclass(frozen=True)
class Frame:
    """A simulated frame.

    Parameters
    ----------
    image : ndarray of float32, shape (side, side)
        Brightness [Jy/beam], NaN where there is no data.
    labels : list of str
        Labels in the order of `RIGGI_LABELS`.
    sources : list of str
        Classes of the sources with a peak of at least five rms.
    """

    image: Float32
    labels: list[str]
    sources: list[str]


def render_frame(
    config: SurveyConfig,
    rng: np.random.Generator,
    sources: list[Extended],
    *,
    points: Compacts | None = None,
    field: tuple[float, float] | None = None,
    keep_clear: tuple[float, float] | None = None,
    rms: Float32 | None = None,
    offset: Float32 | None = None,
) -> Frame:
    """Render a frame of `config.frame_size` with given sources, field sources from the counts, and noise.

    Parameters
    ----------
    config : SurveyConfig
        Beam, noise, counts and artefacts.
    rng : numpy.random.Generator
        Source of everything random.
    sources : list of Extended
        Resolved sources.
    points : Compacts, optional
        Compact sources.
    field : tuple of float, optional
        Faintest and brightest field source [Jy]; the survey's limits when not given.
    keep_clear : tuple of float, optional
        Centre (of the frame) and radius [pixel] where no field source is put.
    rms : ndarray, optional
        Noise map [Jy/beam]; `config.rms` everywhere when not given.
    offset : ndarray, optional
        Zero level [Jy/beam].
    """
    side = config.frame_size
    beam = survey_beam(config)
    noise_map = np.full((side, side), config.rms, dtype=np.float32) if rms is None else rms
    canvas = Canvas(noise_map)
    rows = place_extended(canvas, sources, beam)
    others = draw_field(config, rng, *(field or (config.flux_min, config.flux_max)), keep_clear)
    every = others if points is None else _both(points, others)
    rows += place_compacts(canvas, every, beam, len(rows))
    rows = [row for row in rows if np.isfinite(row["rms"])]
    _, extra = place_artefacts(canvas, rows, config, beam, rng)
    image = observe(canvas, config, beam, rng)
    if offset is not None:
        image += offset
    truth = finish_truth(rows + extra, canvas, config, "", mosaic_header(config, 0, float(side)))
    labels = label_windows(truth, [(0, 0, side, side)], beam_area=beam.area)[0]
    return Frame(image, labels, [row["class"] for row in rows if row["peak_flux"] >= 5 * row["rms"]])


def galaxy_frame(config: SurveyConfig, rng: np.random.Generator, kind: str, *, flux: float, size: float) -> Frame:
    """Render a frame about one resolved source.

    Parameters
    ----------
    config : SurveyConfig
        Beam, noise, counts and artefacts.
    rng : numpy.random.Generator
        Source of everything random.
    kind : str
        Class of the source, one of `MAKERS`.
    flux : float
        Its integrated flux density [Jy].
    size : float
        Its largest angular size [pixel].
    """
    middle = (config.frame_size - 1) / 2
    cloud = make_cloud(kind, rng, size, survey_beam(config))
    return render_frame(config, rng, [Extended(kind, middle, middle, flux, cloud)])


def draw_field(
    config: SurveyConfig,
    rng: np.random.Generator,
    flux_min: float,
    flux_max: float,
    keep_clear: tuple[float, float] | None,
) -> Compacts:
    """Draw the compact sources of a frame from the counts between two fluxes [Jy]."""
    side = config.frame_size
    if flux_min >= flux_max:
        return Compacts(*([NOTHING] * 6))
    number = int(rng.poisson(expected_counts(flux_min, flux_max) * (side * config.pixel_scale / 3600) ** 2))
    x, y = rng.uniform(-0.5, side - 0.5, (2, number))
    drawn = draw_compacts(config, rng, x, y, draw_fluxes(rng, number, flux_min, flux_max))
    if keep_clear is None:
        return drawn
    centre, radius = keep_clear
    return drawn.where(np.hypot(x - centre, y - centre) > radius)


def _both(first: Compacts, second: Compacts) -> Compacts:
    return Compacts(
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("x", "y", "flux", "major", "minor", "pa")
        )
    )


def _centre(config: SurveyConfig, rng: np.random.Generator) -> tuple[float, float]:
    """A place near the frame's centre."""
    side = config.frame_size
    x, y = (side - 1) / 2 + rng.normal(0, 0.08 * side, 2).clip(-0.25 * side, 0.25 * side)
    return float(x), float(y)


def _points(config: SurveyConfig, rng: np.random.Generator, snrs: list[float], spread: float) -> Compacts:
    """Compact sources of given peak signal-to-noise, about one place."""
    x, y = _centre(config, rng)
    number = len(snrs)
    shift = rng.normal(0, spread, (2, number))
    drawn = draw_compacts(config, rng, x + shift[0], y + shift[1], np.array(snrs) * config.rms)
    unit = peak_brightness(np.ones(number), drawn.shape, survey_beam(config))
    return Compacts(drawn.x, drawn.y, np.array(snrs) * config.rms / unit, drawn.major, drawn.minor, drawn.pa)


def _resolved(
    config: SurveyConfig, rng: np.random.Generator, kind: str, low: float, high: float, snr: float
) -> Extended:
    """A resolved source of a largest angular size between two shares of the frame, and a typical peak."""
    beam = survey_beam(config)
    size = max(float(rng.uniform(low, high)) * config.frame_size, 3 * beam.major)
    cloud = make_cloud(kind, rng, size, beam)
    x, y = _centre(config, rng)
    return Extended(kind, x, y, flux_for_peak(cloud, rng, snr * config.rms, beam), cloud)


def _background(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    """Noise, often at the map's border, where it rises before the data end."""
    side = config.frame_size
    faint = (config.flux_min, 2.5 * config.rms)
    if rng.random() < 0.4:
        return render_frame(config, rng, [], field=faint)
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.4) * side
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inward = x * np.cos(angle) + y * np.sin(angle) + depth
    rise = 1 + 2.5 * np.exp(-np.clip(inward, 0, None) / (0.35 * side))
    rms = np.where(inward > 0, config.rms * rise, np.nan).astype(np.float32)
    return render_frame(config, rng, [], field=faint, rms=rms)


def _compact(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    """Up to three points, sometimes close together."""
    number = int(rng.choice([1, 1, 2, 3]))
    spread = survey_beam(config).major * (1.3 if rng.random() < 0.5 else 5.0)
    snrs = [float(s) for s in np.exp(rng.uniform(np.log(8), np.log(250), number))]
    return render_frame(config, rng, [], points=_points(config, rng, snrs, spread))


def _extended(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    kind = str(rng.choice(["fr1", "fr2", "wat", "nat", "ring", "peculiar"], p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.1]))
    return render_frame(config, rng, [_resolved(config, rng, kind, 0.25, 0.65, 30.0)])


def _radio_galaxy(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    kind = str(rng.choice(["fr1", "fr2", "wat", "nat"], p=[0.3, 0.45, 0.13, 0.12]))
    return render_frame(config, rng, [_resolved(config, rng, kind, 0.12, 0.6, 45.0)])


def _diffuse(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    kind = str(rng.choice(["diffuse", "shell"], p=[0.65, 0.35]))
    return render_frame(config, rng, [_resolved(config, rng, kind, 0.2, 0.5, 13.0)])


def _diffuse_large(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    return render_frame(config, rng, [_resolved(config, rng, "diffuse_large", 0.9, 1.5, 16.0)])


def _filament(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    return render_frame(config, rng, [_resolved(config, rng, "filament", 0.4, 1.0, 16.0)])


def _artefact(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    """A source so bright that calibration errors show around it."""
    low = max(config.artefact_snr, 6 / max(config.artefact_level, 1e-3)) * 1.2
    snr = float(np.exp(rng.uniform(np.log(low), np.log(12 * low))))
    loud = config.model_copy(update={"artefact_level": max(config.artefact_level, 1e-3)})
    return render_frame(loud, rng, [], points=_points(config, rng, [snr], 0.0))


def _peculiar(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    kind = str(rng.choice(["ring", "peculiar"], p=[0.4, 0.6]))
    return render_frame(config, rng, [_resolved(config, rng, kind, 0.2, 0.6, 25.0)])


def _mosaicking(config: SurveyConfig, rng: np.random.Generator) -> Frame:
    """Tiles of different zero level and noise that meet in the frame, with a ridge where they do."""
    side = config.frame_size
    beam: Beam = survey_beam(config)
    rms = np.full((side, side), config.rms, dtype=np.float32)
    offset = np.zeros((side, side), dtype=np.float32)
    for axis in (0, 1) if rng.random() < 0.4 else (int(rng.integers(2)),):
        edge = int(rng.uniform(0.25, 0.75) * side)
        far = np.s_[edge:, :] if axis == 0 else np.s_[:, edge:]
        offset[far] += np.float32(rng.choice([-1.0, 1.0]) * rng.uniform(0.7, 2.0) * config.rms)
        rms[far] *= np.float32(np.exp(rng.normal(0, 0.25)))
        add_ridge(offset, edge, axis, float(rng.uniform(0.5, 1.8)) * config.rms, beam, rng)
    frame = render_frame(config, rng, [], rms=rms, offset=offset)
    labels = {*frame.labels, "MOSAICKING"} - {"BACKGROUND"}
    return Frame(frame.image, [label for label in RIGGI_LABELS if label in labels], frame.sources)


RECIPES: dict[str, Callable[[SurveyConfig, np.random.Generator], Frame]] = {
    "BACKGROUND": _background,
    "COMPACT": _compact,
    "EXTENDED": _extended,
    "RADIO-GALAXY": _radio_galaxy,
    "DIFFUSE": _diffuse,
    "DIFFUSE-LARGE": _diffuse_large,
    "FILAMENT": _filament,
    "ARTEFACT": _artefact,
    "PECULIAR": _peculiar,
    "MOSAICKING": _mosaicking,
}
