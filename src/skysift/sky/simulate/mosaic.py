"""One simulated mosaic: image, noise map, truth, instance mask and header."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io import fits

from skysift.sky.simulate.beam import Beam, Float64
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.coverage import coverage, seam_mask
from skysift.sky.simulate.header import mosaic_header
from skysift.sky.simulate.interferometer import residual, snapshots
from skysift.sky.simulate.noise import Float32, noise_field, padded
from skysift.sky.simulate.painting import Canvas, Int32, finish_truth, place_artefacts, place_compacts, place_extended
from skysift.sky.simulate.sources import Compacts, Extended, draw_population, draw_rare

SELF_CALIBRATED = 1000.0  # peak over noise from which on a field calibrates itself and gain errors fall


class SimulatedMosaic(NamedTuple):
    """A mosaic and everything that is known about it.

    Parameters
    ----------
    image : ndarray of float32, shape (n, n)
        Brightness [Jy/beam], NaN where there is no data.
    rms : ndarray of float32, shape (n, n)
        Noise [Jy/beam], NaN where there is no data.
    truth : pyarrow.Table
        One row a source or artefact, see `TRUTH_SCHEMA`.
    mask : ndarray of int32, shape (n, n)
        The id of the source whose own noise-free brightness exceeds 3 local rms (the brightest where several do),
        else 0.
    header : astropy.io.fits.Header
        Header of the image.
    artefacts : ndarray of int32, shape (n, n)
        The id of the artefact whose absolute brightness exceeds 3 local rms (the last where several do), else 0.
    """

    image: Float32
    rms: Float32
    truth: pa.Table
    mask: Int32
    header: fits.Header
    artefacts: Int32


def survey_beam(config: SurveyConfig) -> Beam:
    """Beam of a survey on its pixel grid."""
    return Beam(config.bmaj / config.pixel_scale, config.bmin / config.pixel_scale, config.bpa)


def streams(config: SurveyConfig, index: int) -> dict[str, np.random.Generator]:
    """Independent random streams of a mosaic, the same whatever else is simulated."""
    names = ("coverage", "population", "rare", "artefacts", "noise")
    children = np.random.SeedSequence([config.seed, index]).spawn(len(names))
    return {name: np.random.Generator(np.random.PCG64(child)) for name, child in zip(names, children, strict=True)}


def simulate_mosaic(config: SurveyConfig, index: int) -> SimulatedMosaic:
    """Simulate one mosaic of a survey in memory.

    Parameters
    ----------
    config : SurveyConfig
        The survey; its seed and `index` decide everything random.
    index : int
        Which mosaic, from 0.

    Returns
    -------
    SimulatedMosaic
    """
    random = streams(config, index)
    beam = survey_beam(config)
    depth = coverage(config, beam, random["coverage"])
    compacts, galaxies = draw_population(config, random["population"], depth.rms, beam)
    resolved = draw_rare(config, random["rare"], depth.rms, beam) + galaxies
    canvas = Canvas(depth.rms)
    rows = place_extended(canvas, resolved, beam)
    rows += place_compacts(canvas, compacts, beam, len(resolved))
    artefacts, extra = place_artefacts(canvas, rows, config, beam, random["artefacts"])
    image = observe(canvas, config, beam, random["noise"])
    image += depth.offset
    header = mosaic_header(config, index, depth.primary_beam)
    truth = finish_truth(rows + extra, canvas, config, f"mosaic_{index:02d}.fits", header)
    return SimulatedMosaic(image, depth.rms, truth, canvas.mask, header, artefacts)


def observe(canvas: Canvas, config: SurveyConfig, beam: Beam, rng: np.random.Generator) -> Float32:
    """Add what the instrument adds: residual sidelobes of all sources, and noise. Changes and returns the image."""
    image, shape = canvas.image, padded(canvas.rms.shape, beam)
    power = None
    if config.noise == "snapshots" or config.gain_error > 0:
        sampling = snapshots(rng, config.snapshots, beam)
        if config.noise == "snapshots":
            power = sampling.power(shape, beam)
        if config.gain_error > 0:
            contrast = float(image.max()) / config.rms
            level = config.gain_error / np.sqrt(1 + contrast / SELF_CALIBRATED)
            image += residual(image, sampling.errors(rng, shape, level), beam, shape)
    image += canvas.rms * noise_field(rng, canvas.rms.shape, beam, natural=config.noise == "natural", power=power)
    return image


def sources_of(config: SurveyConfig, index: int) -> tuple[Compacts, list[Extended], Float64]:
    """Return the source models of a mosaic in the order of their ids (extended first), and its noise map."""
    random = streams(config, index)
    beam = survey_beam(config)
    depth = coverage(config, beam, random["coverage"])
    compacts, galaxies = draw_population(config, random["population"], depth.rms, beam)
    return compacts, draw_rare(config, random["rare"], depth.rms, beam) + galaxies, np.asarray(depth.rms)


def seams_of(config: SurveyConfig, index: int) -> npt.NDArray[np.bool_]:
    """Return where mosaicking shows in a mosaic, shape (n, n), for `label_windows`; see `seam_mask`."""
    beam = survey_beam(config)
    depth = coverage(config, beam, streams(config, index)["coverage"])
    return seam_mask(depth.offset, depth.rms, beam)
