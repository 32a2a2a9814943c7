"""One object on the sky seen in several windows is one candidate.

Windows overlap, so a bright source lies in several of them. Each window is known by the pixels of its brightest island
of emission; windows of one mosaic whose brightest islands share a pixel show the same thing, wherever it lies in them
and even where an edge cuts it. Candidates of different mosaics are the same where their peaks coincide on the sky to
half a beam. A window whose brightest source is another one than its neighbour's stays apart from it, however much
sky they share; so does a window without emission or without a position.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue, write_table
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.place import table_field
from skysift.discovery.emission import Emission, measure_emission

if TYPE_CHECKING:
    from skysift.store.context import Context

Rows = NDArray[np.int64]
Float = NDArray[np.float64]
SHARD = 2048
CANDIDATES = "candidates.parquet"
WHOLE = 0.9
"""Share of a candidate's peak that a window must reach to count as showing it whole."""
LEAST_TOLERANCE = 2.0
"""Peaks of two mosaics coincide within half the larger beam, at least within this [pixel]."""


@dataclass(frozen=True)
class Candidates:
    """K objects and the N windows that show them.

    Attributes
    ----------
    of_window : ndarray (N,) int64
        Candidate of each window, numbered in the order of their first windows.
    best : ndarray (K,) int64
        The window in whose middle the peak lies best.
    ra, dec : ndarray (K,) float64
        Of the brightest pixel, ICRS [deg]; the window's centre without emission.
    peak, snr : ndarray (K,) float64
        As in `Emission`, the brightest of the windows.
    """

    of_window: Rows
    best: Rows
    ra: Float
    dec: Float
    peak: Float
    snr: Float

    def __len__(self) -> int:
        return len(self.best)

    def windows(self, candidate: int) -> Rows:
        """Return the windows of one candidate, ascending."""
        return np.flatnonzero(self.of_window == candidate).astype(np.int64)

    def ids(self, cutout_ids: NDArray[Any]) -> list[str]:
        """Return the id of each candidate: 16 hex digits of BLAKE2b over the sorted ids of its windows."""
        order = np.lexsort((cutout_ids, self.of_window))
        parts = np.split(cutout_ids[order], np.cumsum(np.bincount(self.of_window))[:-1])
        return [hashlib.blake2b(",".join(part).encode(), digest_size=8).hexdigest() for part in parts]

    def table(self, catalogue: Catalogue) -> Any:
        """Return a pyarrow.Table, one row a candidate: its id, place, brightness, best window, and all windows."""
        known = catalogue.column("cutout_id").astype(str)
        order = np.argsort(self.of_window, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(self.of_window, minlength=len(self)))])
        members = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(known[order], pa.string()))
        columns = {
            "candidate_id": (self.ids(known), pa.string(), "Digest of the windows.", "", "meta.id;meta.main"),
            "ra": (self.ra, pa.float64(), "Right ascension of the peak, ICRS.", "deg", "pos.eq.ra;meta.main"),
            "dec": (self.dec, pa.float64(), "Declination of the peak, ICRS.", "deg", "pos.eq.dec;meta.main"),
            "peak": (self.peak, pa.float64(), "Peak [unit of the mosaic].", "", "stat.max;phot.flux.density"),
            "snr": (self.snr, pa.float64(), "Peak over the noise.", "", "stat.snr"),
            "cutout_id": (known[self.best], pa.string(), "Window that shows it best.", "", "meta.id"),
        }
        fields, arrays = [], []
        for name, (values, type_, description, unit, ucd) in columns.items():
            metadata = {"description": description, "unit": unit, "ucd": ucd}
            fields.append(pa.field(name, type_, metadata={k: v for k, v in metadata.items() if v}))
            arrays.append(pa.array(values, type_, from_pandas=True))
        fields.append(pa.field("windows", members.type, metadata={"description": "All windows that show it."}))
        return pa.Table.from_arrays([*arrays, members], schema=pa.schema(fields))


def group_windows(catalogue: Catalogue, emission: Emission) -> Candidates:
    """Group the windows of a catalogue by their brightest emission.

    Parameters
    ----------
    catalogue : Catalogue
        N windows.
    emission : Emission
        Of these, in the same order.

    Returns
    -------
    Candidates
        The same for any order of the rows, but for the numbers.
    """
    if not len(catalogue):
        none = np.empty(0)
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), none, none, none, none)
    image = _images(catalogue)
    placed = np.isfinite(catalogue.column("ra")) & np.isfinite(catalogue.column("dec")) & (emission.counts > 0)
    label = _within_images(image, placed, emission)
    ra, dec, pixel, beam = _sky_peaks(catalogue, placed, emission)
    label = _across_images(label, image, placed, emission, ra, dec, np.maximum(beam / 2, LEAST_TOLERANCE * pixel))
    return _described(label, catalogue, emission, ra, dec)


def with_candidates(table: Any, context: Context) -> tuple[Any, int]:
    """Group the windows of the catalogue in `context.folder` and write `candidates.parquet` beside it.

    The islands are found on the engine, in shards that survive a kill.

    Parameters
    ----------
    table : pyarrow.Table
        In the order of the catalogue.
    context : Context
        Of the running stage.

    Returns
    -------
    table : pyarrow.Table
        With the candidate of each row in a further column, `candidate`.
    count : int
        Of candidates.
    """
    catalogue = Catalogue.open(context.folder)
    pixels = PixelSource.open(context.folder, context.locate)
    blocks = [range(start, min(start + SHARD, len(pixels))) for start in range(0, len(pixels), SHARD)]
    paths = context.sharded(partial(_measure_shard, pixels), blocks, label="candidates", suffix=".npz")
    found = group_windows(catalogue, Emission.concat([Emission.open(path) for path in paths]))
    described = found.table(catalogue)
    write_table(described, context.folder / CANDIDATES)
    ids = described.column("candidate_id").take(pa.array(found.of_window))
    field = table_field("candidate", pa.string(), "Object on the sky, one for all windows that show it.", "meta.id")
    return table.append_column(field, ids), len(found)


def _measure_shard(pixels: PixelSource, rows: range, out: Path) -> None:
    measure_emission(pixels, rows).save(out)


def first_windows(catalogue: Catalogue, pixels: PixelSource, rows: Rows) -> Rows:
    """Return the indices into `rows` of the first window of each candidate among them, ascending."""
    found = group_windows(catalogue.select(rows), measure_emission(pixels, rows))
    return np.unique(found.of_window, return_index=True)[1].astype(np.int64)


def _images(catalogue: Catalogue) -> Rows:
    """Number the image (mosaic, HDU, plane) of each window."""
    keys = np.stack([catalogue.mosaic_rows(), catalogue.column("plane").astype(np.int64)], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _within_images(image: Rows, placed: NDArray[np.bool_], emission: Emission) -> Rows:
    """Join windows of one image whose islands share a pixel; return a group's number for each window."""
    ends = np.cumsum(emission.counts)
    first, second = [], []
    order = np.argsort(image, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(image[order])) + 1):
        rows = rows[placed[rows]]
        if len(rows) < 2:
            continue
        part = [emission.pixels[ends[row] - emission.counts[row] : ends[row]] for row in rows.tolist()]
        owner = np.repeat(rows, emission.counts[rows])
        xy = np.concatenate(part).astype(np.int64)
        key = (xy[:, 1] - xy[:, 1].min()) * (np.ptp(xy[:, 0]) + 1) + xy[:, 0] - xy[:, 0].min()
        by_pixel = np.argsort(key, kind="stable")
        same = np.diff(key[by_pixel]) == 0
        first.append(owner[by_pixel[:-1][same]])
        second.append(owner[by_pixel[1:][same]])
    return _joined(len(image), first, second)


def _across_images(
    label: Rows, image: Rows, placed: NDArray[np.bool_], emission: Emission, ra: Float, dec: Float, tolerance: Float
) -> Rows:
    """Join groups of different images whose peaks coincide within the larger tolerance of the two [deg]."""
    from scipy.spatial import cKDTree

    rows = np.flatnonzero(placed)
    if len(np.unique(image[rows])) < 2:
        return label
    rows = rows[np.lexsort((rows, -emission.peak[rows], label[rows]))]
    rows = rows[np.concatenate([[True], np.diff(label[rows]) != 0])]  # the brightest window of each group
    rows = rows[np.isfinite(ra[rows]) & np.isfinite(tolerance[rows])]
    if len(rows) < 2:
        return label
    lon, lat = np.radians(ra[rows]), np.radians(dec[rows])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    reach = 2 * np.sin(np.radians(tolerance[rows]) / 2)
    pairs = cKDTree(points).query_pairs(float(reach.max()), output_type="ndarray").reshape(-1, 2)
    one, two = pairs.T
    near = np.linalg.norm(points[one] - points[two], axis=1) <= np.maximum(reach[one], reach[two])
    near &= image[rows[one]] != image[rows[two]]
    joined = _joined(int(label.max()) + 1, [label[rows[one[near]]]], [label[rows[two[near]]]])
    return joined[label]


def _joined(count: int, first: list[Rows], second: list[Rows]) -> Rows:
    """Return the connected component of each of `count` things, given pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = (np.concatenate([np.empty(0, np.int64), *part]) for part in (first, second))
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _sky_peaks(
    catalogue: Catalogue, placed: NDArray[np.bool_], emission: Emission
) -> tuple[Float, Float, Float, Float]:
    """Return each window's peak on the sky (its centre where unknown), and its pixel's side and beam [deg]."""
    from skysift.sky.info import MosaicInfo
    from skysift.sky.wcs import pixel_to_icrs

    ra, dec = catalogue.column("ra").copy(), catalogue.column("dec").copy()
    of_mosaic = catalogue.mosaic_rows()
    mosaics = catalogue.mosaics.to_pylist()
    for number in np.unique(of_mosaic[placed]):
        entry = mosaics[number]
        rows = np.flatnonzero(placed & (of_mosaic == number))
        if entry["wcs_header"] is not None:
            shape = (int(entry["ny"]), int(entry["nx"]))
            info = MosaicInfo("", "fits", 0, 0, shape, wcs_header=entry["wcs_header"])
            ra[rows], dec[rows] = pixel_to_icrs(info, *emission.peaks[rows].T)
    pixel = np.array([(m["pixel_scale"] or np.nan) / 3600 for m in mosaics], np.float64)[of_mosaic]
    beam = np.array([m["bmaj"] or 0.0 for m in mosaics], np.float64)[of_mosaic]
    return ra, dec, pixel, beam


def _described(label: Rows, catalogue: Catalogue, emission: Emission, ra: Float, dec: Float) -> Candidates:
    """Number groups by their first windows and choose what stands for each."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(len(first))
    of_window = number[inverse.ravel()]
    rows = np.arange(len(label))
    strength = np.nan_to_num(emission.peak, nan=-np.inf)
    ids = catalogue.column("cutout_id").astype(str)
    brightest = _first_of_each(of_window, np.lexsort((ids, -strength, of_window)))
    windows = catalogue.windows
    centre = windows[:, :2] + (windows[:, 2:] - 1) / 2
    # a window that an edge of the source alone reaches into does not show it well
    off = np.linalg.norm(emission.peaks - centre, axis=1) / np.maximum(windows[:, 2:].min(axis=1), 1)
    off = np.where(strength >= strength[brightest][of_window] * WHOLE, off, off + 1)
    best = _first_of_each(of_window, np.lexsort((ids, off, of_window)))
    return Candidates(
        of_window, rows[best], ra[brightest], dec[brightest], emission.peak[brightest], emission.snr[brightest]
    )


def _first_of_each(group: Rows, order: Rows) -> Rows:
    """Return the first row of each group in an order that keeps groups together and ascending."""
    return order[np.concatenate([[True], np.diff(group[order]) != 0])].astype(np.int64)
