"""The likest 100 of a million cutouts: latency and memory of `Index` beside faiss's flat index, on the same threads.

Wall-clock times of a machine that does other work say little; the processor's time for one query is given as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from skysift.discovery.similar import Index

THREADS = 2
COUNT = 100
TARGET_S = 0.2
BLOCK = 50_000
Matrix = NDArray[np.float32]


def write_features(path: Path, rows: int, dim: int) -> None:
    """Write what a network's last layer gives, block by block: non-negative, in overlapping groups."""
    centres = np.random.default_rng(0).standard_normal((500, dim), dtype=np.float32)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, dim))
    for start in range(0, rows, BLOCK):
        rng = np.random.default_rng(start + 1)
        stop = min(start + BLOCK, rows)
        around = centres[rng.integers(0, len(centres), stop - start)]
        out[start:stop] = np.maximum(around + rng.standard_normal((stop - start, dim), dtype=np.float32), 0)
    out.flush()


def private_bytes() -> int:
    """Memory that is this process's own, without what is mapped from files [byte]."""
    used = psutil.Process().memory_info()
    return int(used.rss - used.shared)


def timed(search: Callable[[], Any]) -> tuple[float, float]:
    """Return wall-clock and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    search()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(table: NDArray[Any], queries: Matrix) -> dict[str, float]:
    """Ask both in turns."""
    before = private_bytes()
    start = time.perf_counter()
    index = Index.of(table)
    load = time.perf_counter() - start
    index.query(queries[0], COUNT)
    own = private_bytes() - before
    flat = faiss.IndexFlatIP(table.shape[1])
    for first in range(0, len(table), BLOCK):
        block = np.array(table[first : first + BLOCK], np.float32)
        faiss.normalize_L2(block)
        flat.add(block)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    ours, theirs, same = [], [], []
    for number in range(len(queries)):
        ours.append(timed(lambda: index.query(queries[number], COUNT)))  # noqa: B023
        theirs.append(timed(lambda: flat.search(unit[number : number + 1], COUNT)))  # noqa: B023
        found = index.query(queries[number], COUNT)[0]
        same.append(len(np.intersect1d(found, flat.search(unit[number : number + 1], COUNT)[1][0])) / COUNT)
    wall, cpu = np.array(ours).T
    faiss_wall, faiss_cpu = np.array(theirs).T
    return {
        "load_s": load,
        "p50_s": float(np.median(wall)),
        "p95_s": float(np.quantile(wall, 0.95)),
        "least_s": float(wall.min()),
        "processor_s": float(np.median(cpu)),
        "faiss_p50_s": float(np.median(faiss_wall)),
        "faiss_p95_s": float(np.quantile(faiss_wall, 0.95)),
        "faiss_processor_s": float(np.median(faiss_cpu)),
        "over_faiss": float(np.median(faiss_wall / wall)),
        "own_bytes": float(own),
        "faiss_bytes": 4.0 * table.size,
        "same_as_faiss": float(np.mean(same)),
    }


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return the figures for float32 and float16."""
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    rows, dim, asked = (50_000, 512, 5) if quick else (1_000_000, 512, 30)
    figures: dict[str, Any] = {"threads": THREADS, "rows": rows, "dimensions": dim, "target_s": TARGET_S}
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(THREADS):
        path = Path(folder) / "features.npy"
        write_features(path, rows, dim)
        whole = np.load(path, mmap_mode="r")
        places = np.random.default_rng(9).permutation(rows)[:asked]
        queries = whole[np.sort(places)] + np.float32(0.01)
        figures["load_average"] = psutil.getloadavg()[0]
        figures["float32"] = compare(whole, queries)
        halves = np.lib.format.open_memmap(Path(folder) / "half.npy", mode="w+", dtype=np.float16, shape=whole.shape)
        for start in range(0, rows, BLOCK):
            halves[start : start + BLOCK] = whole[start : start + BLOCK]
        halves.flush()
        del whole
        path.unlink()
        figures["float16"] = compare(np.load(Path(folder) / "half.npy", mmap_mode="r"), queries)
    for kind in ("float32", "float16"):
        print(kind, "  ".join(f"{name} {value:.4g}" for name, value in figures[kind].items()), flush=True)
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
