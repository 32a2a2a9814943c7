"""Catalogue with statistics, against a loop over astropy's Cutout2D; memory for a large mosaic; reading windows."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.stats import mad_std

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.engine import Engine
from skysift.store import Store
from skysift.store.work import Mapper, Threads

TARGET_RATIO = 8.0
TARGET_WINDOWS = 20_000.0
TARGET_BYTES = 1.5e9
SIZE, STEP = 128, 64

MEASURE_MEMORY = """
import json, resource, sys
from skysift.cutouts.stages import Cutouts
from skysift.store import Store
from skysift.store.work import Threads
made = Store(sys.argv[1]).run(Cutouts(mosaics=(sys.argv[2],)), engine=Threads(1))
print(json.dumps([made.counts["rows"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def write_mosaic(path: Path, side: int) -> None:
    """Write noise that rises outwards, with sources and a border without data, strip by strip."""
    head = fits.Header()
    head["SIMPLE"], head["BITPIX"], head["NAXIS"], head["NAXIS1"], head["NAXIS2"] = True, -32, 2, side, side
    head["CTYPE1"], head["CTYPE2"], head["CRVAL1"], head["CRVAL2"] = "RA---SIN", "DEC--SIN", 201.4, -43.0
    head["CRPIX1"] = head["CRPIX2"] = side / 2
    head["CDELT1"], head["CDELT2"], head["BUNIT"] = -1.5 / 3600, 1.5 / 3600, "JY/BEAM"
    rng = np.random.default_rng(0)
    x = np.arange(side, dtype=np.float32) - side / 2
    with path.open("wb") as stream:
        stream.write(head.tostring().encode())
        for start in range(0, side, 500):
            rows = np.arange(start, min(start + 500, side), dtype=np.float32) - side / 2
            radius = np.hypot(x, rows[:, None]) / (side / 2)
            pixels = rng.standard_normal(radius.shape, dtype=np.float32) * (1 + radius**2) * np.float32(3e-5)
            hits = rng.integers(0, pixels.size, pixels.size // 4000)
            pixels.ravel()[hits] += (1e-3 * rng.pareto(1.0, len(hits))).astype(np.float32)
            pixels[radius > 1.25] = np.nan
            stream.write(pixels.astype(">f4").tobytes())
        stream.write(b"\0" * (-stream.tell() % 2880))


def peer_rows(job: tuple[str, int, int]) -> list[tuple[float, float]]:
    """Measure rows of windows as people do: cut out, then mad_std and nanmedian."""
    path, first, last = job
    found = []
    with fits.open(path, memmap=True) as hdus:
        data = hdus[0].data
        for y in range(first, last):
            for x in range((data.shape[1] - SIZE) // STEP + 1):
                cutout = Cutout2D(data, (x * STEP + SIZE / 2, y * STEP + SIZE / 2), SIZE).data
                if np.isfinite(cutout).mean() >= 0.7:
                    found.append((float(np.nanmedian(cutout)), float(mad_std(cutout, ignore_nan=True))))
    return found


def ours(path: str, engine: Mapper) -> tuple[float, Catalogue]:
    """Time the stage from an empty store that knows the file; return seconds and catalogue."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.sources.fingerprint(path)
        start = time.perf_counter()
        made = store.run(Cutouts(mosaics=(path,)), engine=engine)
        took = time.perf_counter() - start
        catalogue = Catalogue.open(made)
        catalogue.column("rms")
        return took, catalogue


def compare(path: str, rows: int, repeats: int, workers: int) -> dict[str, float]:
    """Interleave ours and the peer on the same number of cores."""
    jobs = [(path, rows * i // (4 * workers), rows * (i + 1) // (4 * workers)) for i in range(4 * workers)]
    times: list[tuple[float, float]] = []
    if workers == 1:
        ours(path, Threads(1))
        for _ in range(repeats):
            mine, catalogue = ours(path, Threads(1))
            start = time.perf_counter()
            values = np.array(peer_rows((path, 0, rows)), np.float32)
            times.append((mine, time.perf_counter() - start))
        assert np.array_equal(values[:, 0], catalogue.column("median"))
        assert np.array_equal(values[:, 1], catalogue.column("rms"))
    else:
        with Engine(workers=workers) as engine, ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            ours(path, engine)
            list(pool.map(peer_rows, [(path, 0, 1)] * workers))
            for _ in range(repeats):
                mine = ours(path, engine)[0]
                start = time.perf_counter()
                list(pool.map(peer_rows, jobs))
                times.append((mine, time.perf_counter() - start))
    return {
        "skysift_s": statistics.median(a for a, _ in times),
        "astropy_s": statistics.median(b for _, b in times),
        "ratio": statistics.median(b / a for a, b in times),
    }


def read_windows(path: str, count: int) -> float:
    """Return windows a second from a warm mosaic, in batches of 256 at random."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        source = PixelSource.open(store.run(Cutouts(mosaics=(path,))), store.sources.locate)
        rows = np.random.default_rng(0).integers(0, len(source), (count, 256))
        source.read(np.arange(len(source)))
        rates = []
        for batch in rows:
            start = time.perf_counter()
            source.read(batch)
            rates.append(len(batch) / (time.perf_counter() - start))
    return statistics.median(rates)


def peak_memory(path: str) -> tuple[int, float]:
    """Return rows and the most bytes that a fresh process holds while it makes the catalogue."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURE_MEMORY, folder, path]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    rows, size = json.loads(done.stdout.splitlines()[-1])
    return int(rows), float(size)


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return seconds, ratios, windows a second and bytes."""
    side, large, repeats = (1536, 4096, 2) if quick else (4096, 20_000, 5)
    figures: dict[str, Any] = {
        "target_ratio": TARGET_RATIO,
        "target_windows_per_second": TARGET_WINDOWS,
        "target_bytes": TARGET_BYTES,
        "side": side,
        "side_of_memory_test": large,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "mosaic.fits")
        write_mosaic(Path(path), side)
        rows = (side - SIZE) // STEP + 1
        for workers in (1, 2):
            entry = compare(path, rows, repeats, workers)
            figures[f"catalogue, {workers} workers"] = entry
            print(f"catalogue of {side}^2, {workers} workers:", "  ".join(f"{k} {v:.3g}" for k, v in entry.items()))
        figures["windows_per_second"] = read_windows(path, 20 if quick else 100)
        print(f"windows of {SIZE} pixels a second: {figures['windows_per_second']:,.0f}")
        big = str(Path(folder) / "large.fits")
        write_mosaic(Path(big), large)
        count, size = peak_memory(big)
        figures |= {"rows_of_memory_test": count, "peak_bytes": size}
        print(f"peak memory for {large}^2 ({Path(big).stat().st_size / 1e9:.2g} GB): {size / 1e9:.2g} GB")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
