"""Painting sources and artefacts into an image, and what is known of each: its rows of the truth table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io import fits

from skysift.sky.simulate.artefacts import KINDS, artefact
from skysift.sky.simulate.beam import Beam
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.header import celestial
from skysift.sky.simulate.measure import count_components, count_peaks
from skysift.sky.simulate.noise import Float32
from skysift.sky.simulate.render import Stamp, clip, compact_stamps, paint_cloud, peak_brightness
from skysift.sky.simulate.sources import Compacts, Extended
from skysift.sky.simulate.truth import truth_table

THRESHOLD = 3.0  # local rms above which a pixel belongs to a source
PROMINENCE = 2.0  # local rms by which a peak rises above its saddle

Int32 = npt.NDArray[np.int32]


class Canvas:
    """An image under construction, with the mask and what is measured of each source on the way."""

    def __init__(self, rms: Float32) -> None:
        self.rms = rms
        self.image = np.zeros(rms.shape, dtype=np.float32)
        self.mask = np.zeros(rms.shape, dtype=np.int32)
        self._brightest = np.zeros(rms.shape, dtype=np.float32)
        self.boxes: dict[int, tuple[int, int, int, int]] = {}

    def add(self, stamp: Stamp, number: int) -> None:
        """Add a source's brightness, and its pixels above the threshold to the mask."""
        window = stamp.window
        self.image[window] += stamp.data
        above = stamp.data > THRESHOLD * self.rms[window]
        if not above.any():
            return
        rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
        self.boxes[number] = (
            stamp.x0 + int(columns[0]),
            stamp.y0 + int(rows[0]),
            int(columns[-1] - columns[0]) + 1,
            int(rows[-1] - rows[0]) + 1,
        )
        brightest = self._brightest[window]
        owned = above & (stamp.data > brightest)
        brightest[owned] = stamp.data[owned]
        self.mask[window][owned] = number


def place_extended(canvas: Canvas, sources: list[Extended], beam: Beam) -> list[dict[str, Any]]:
    """Paint resolved sources, numbered from 1; return their rows of the truth table, in pixels."""
    rows = []
    for number, source in enumerate(sources, start=1):
        data, x0, y0 = paint_cloud(source.cloud, source.x, source.y, source.flux, beam)
        stamp = clip(data, x0, y0, canvas.rms.shape)
        local = local_rms(canvas.rms, source.x, source.y)
        if stamp is not None:
            canvas.add(stamp, number)
        major, minor, pa = source.shape()
        j, i = np.unravel_index(int(data.argmax()), data.shape)
        rows.append(
            {
                "id": number,
                "class": source.kind,
                "x": source.x,
                "y": source.y,
                "peak_flux": float(data.max()),
                "integrated_flux": source.flux,
                "major": major,
                "minor": minor,
                "pa": pa,
                "angular_size": source.cloud.extent(),
                "rms": local,
                "components": count_components(data, THRESHOLD * local),
                "peaks": count_peaks(data, THRESHOLD * local, PROMINENCE * local),
                "parent": 0,
                "bright_x": float(x0 + i),
                "bright_y": float(y0 + j),
            }
        )
    return rows


def place_compacts(canvas: Canvas, compacts: Compacts, beam: Beam, offset: int) -> list[dict[str, Any]]:
    """Paint compact sources, numbered after `offset`; return their rows of the truth table, in pixels."""
    peaks = peak_brightness(compacts.flux, compacts.shape, beam)
    floor = 1e-3 * float(np.nanmin(canvas.rms))
    stamps = compact_stamps(compacts.x, compacts.y, compacts.flux, compacts.shape, beam, floor=floor)
    for i, data, x0, y0 in stamps:
        stamp = clip(data, x0, y0, canvas.rms.shape)
        if stamp is not None:
            canvas.add(stamp, offset + i + 1)
    rows = []
    for i in range(len(compacts)):
        x, y = float(compacts.x[i]), float(compacts.y[i])
        local = local_rms(canvas.rms, x, y)
        seen = int(peaks[i] > THRESHOLD * local)
        rows.append(
            {
                "id": offset + i + 1,
                "class": "compact",
                "x": x,
                "y": y,
                "peak_flux": float(peaks[i]),
                "integrated_flux": float(compacts.flux[i]),
                "major": float(compacts.major[i]),
                "minor": float(compacts.minor[i]),
                "pa": float(compacts.pa[i]),
                "angular_size": float(compacts.major[i]),
                "rms": local,
                "components": seen,
                "peaks": seen,
                "parent": 0,
                "bright_x": x,
                "bright_y": y,
            }
        )
    return rows


def place_artefacts(
    canvas: Canvas, rows: list[dict[str, Any]], config: SurveyConfig, beam: Beam, rng: np.random.Generator
) -> tuple[Int32, list[dict[str, Any]]]:
    """Surround the sources brighter than `config.artefact_snr` with imaging artefacts.

    Returns
    -------
    mask : ndarray of int32
        The artefact's id where its absolute brightness exceeds 3 local rms.
    rows : list of dict
        Their rows of the truth table.
    """
    mask = np.zeros(canvas.rms.shape, dtype=np.int32)
    found: list[dict[str, Any]] = []
    if config.artefact_level == 0:
        return mask, found
    largest = min(max(canvas.rms.shape[0] // 5, 100), canvas.rms.shape[0])
    bright = [row for row in rows if row["peak_flux"] > config.artefact_snr * row["rms"]]
    for row in bright:
        amplitude = row["peak_flux"] * min(config.artefact_level * float(np.exp(rng.normal(0, 0.4))), 0.5)
        kind = KINDS[int(rng.integers(len(KINDS)))]
        data = artefact(rng, kind, amplitude, row["rms"], beam, largest)
        half = data.shape[0] // 2
        stamp = clip(data, round(row["bright_x"]) - half, round(row["bright_y"]) - half, canvas.rms.shape)
        if stamp is None:
            continue
        number = len(rows) + len(found) + 1
        window = stamp.window
        canvas.image[window] += stamp.data
        above = np.abs(stamp.data) > THRESHOLD * canvas.rms[window]
        mask[window][above] = number
        if above.any():
            rows_, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
            canvas.boxes[number] = (
                stamp.x0 + int(columns[0]),
                stamp.y0 + int(rows_[0]),
                int(columns[-1] - columns[0]) + 1,
                int(rows_[-1] - rows_[0]) + 1,
            )
        found.append(
            {
                "id": number,
                "class": "artefact",
                "x": float(round(row["bright_x"])),
                "y": float(round(row["bright_y"])),
                "peak_flux": float(np.abs(data).max()),
                "integrated_flux": 0.0,
                "major": float(2 * half + 1),
                "minor": float(2 * half + 1),
                "pa": 0.0,
                "angular_size": float(2 * half + 1),
                "rms": row["rms"],
                "components": 0,
                "peaks": 0,
                "parent": row["id"],
            }
        )
    return mask, found


def finish_truth(
    rows: list[dict[str, Any]], canvas: Canvas, config: SurveyConfig, name: str, header: fits.Header
) -> pa.Table:
    """Turn rows in pixels into the truth table with sky positions, angular sizes and what the mask shows."""
    x, y = np.array([r["x"] for r in rows], dtype=float), np.array([r["y"] for r in rows], dtype=float)
    ra, dec = celestial(header).all_pix2world(x, y, 0) if rows else (x, y)
    ids = np.array([r["id"] for r in rows], dtype=np.int64)
    owned = np.bincount(canvas.mask.ravel(), minlength=len(rows) + 1)[ids]
    boxes = np.array([canvas.boxes.get(int(i), (-1, -1, 0, 0)) for i in ids]).reshape(-1, 4)
    columns: dict[str, Any] = {
        key: [r[key] for r in rows]
        for key in ("id", "class", "peak_flux", "integrated_flux", "pa", "rms", "components", "peaks", "parent")
    }
    for key in ("major", "minor", "angular_size"):
        columns[key] = np.array([r[key] for r in rows], dtype=float) * config.pixel_scale
    columns |= {"x": x, "y": y, "ra": ra, "dec": dec, "mosaic": [name] * len(rows), "mask_pixels": owned}
    columns["snr"] = np.array([r["peak_flux"] / r["rms"] for r in rows], dtype=float)
    columns |= {f"box_{key}": boxes[:, k] for k, key in enumerate(("x0", "y0", "width", "height"))}
    return truth_table(columns)


def local_rms(rms: Float32, x: float, y: float) -> float:
    """Noise [Jy/beam] at the pixel nearest to a place."""
    ny, nx = rms.shape
    return float(rms[min(max(round(y), 0), ny - 1), min(max(round(x), 0), nx - 1)])
