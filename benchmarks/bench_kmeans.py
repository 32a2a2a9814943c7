"""k-means against faiss and scikit-learn from the same start, on the same threads; the hierarchy's wall-clock time."""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skysift.curation.hierarchy import HierarchicalKMeans
from skysift.curation.kmeans import KMeans

THREADS = 2
ITERATIONS = 20
TARGET_PLAIN, TARGET_TOLERANCE, TARGET_HIERARCHY = 1.0, 1.5, 600.0
Matrix = NDArray[np.float32]


def noise(n: int, dim: int) -> Matrix:
    """The hardest case: no clusters at all, so no search can be skipped."""
    return np.random.default_rng(0).standard_normal((n, dim), dtype=np.float32)


def blobs(n: int, dim: int) -> Matrix:
    """Overlapping clusters, more than are asked for."""
    rng = np.random.default_rng(0)
    centres = 0.3 * rng.standard_normal((800, dim), dtype=np.float32)
    return centres[rng.integers(0, 800, n)] + rng.standard_normal((n, dim), dtype=np.float32)


def network(n: int, dim: int) -> Matrix:
    """What a network's last layer gives: non-negative, of few effective dimensions."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n, 32), dtype=np.float32) * np.linspace(1, 0.1, 32, dtype=np.float32)
    mixed = latent @ rng.standard_normal((32, dim), dtype=np.float32)
    return np.maximum(mixed, 0) + 0.1 * rng.standard_normal((n, dim), dtype=np.float32)


def with_faiss(x: Matrix, init: Matrix) -> tuple[float, float]:
    """Return seconds and the inertia of the last iteration."""
    model = faiss.Kmeans(
        x.shape[1], len(init), niter=ITERATIONS, max_points_per_centroid=len(x), min_points_per_centroid=1
    )
    start = time.perf_counter()
    model.train(x, init_centroids=init)
    return time.perf_counter() - start, float(model.obj[-1])


def with_scikit(x: Matrix, init: Matrix) -> tuple[float, float]:
    """Return seconds and inertia."""
    model = ScikitKMeans(len(init), init=init, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x)
    return time.perf_counter() - start, float(model.inertia_)


def with_ours(x: Matrix, init: Matrix, tolerance: float) -> tuple[float, KMeans]:
    """Return seconds and the model; tolerance 0 is plain Lloyd for all iterations."""
    model = KMeans(len(init), init=init, max_iterations=ITERATIONS if tolerance == 0 else 50, tolerance=tolerance)
    start = time.perf_counter()
    model.fit(x)
    return time.perf_counter() - start, model


def compare(x: Matrix, k: int, repeats: int) -> dict[str, float]:
    """Interleave the four and take medians of ratios."""
    init = x[np.random.default_rng(1).choice(len(x), k, replace=False)].copy()
    default = KMeans(k).tolerance
    runs = []
    for _ in range(repeats):
        faiss_s, faiss_inertia = with_faiss(x, init)
        plain_s, plain = with_ours(x, init, 0.0)
        scikit_s, scikit_inertia = with_scikit(x, init)
        quick_s, quick = with_ours(x, init, default)
        runs.append((faiss_s, scikit_s, plain_s, quick_s))
    times = np.array(runs)
    return {
        "faiss_s": statistics.median(times[:, 0]),
        "scikit_s": statistics.median(times[:, 1]),
        "ours_s": statistics.median(times[:, 2]),
        "tolerance_s": statistics.median(times[:, 3]),
        "over_faiss": statistics.median(times[:, 0] / times[:, 2]),
        "over_scikit": statistics.median(times[:, 1] / times[:, 2]),
        "tolerance_over_faiss": statistics.median(times[:, 0] / times[:, 3]),
        "inertia_to_faiss": plain.history_[-1] / faiss_inertia - 1,
        "inertia_to_scikit": plain.inertia_ / scikit_inertia - 1,
        "tolerance_inertia_to_faiss": quick.inertia_ / faiss_inertia - 1,
        "tolerance_iterations": float(quick.iterations_),
    }


def main(quick: bool = False) -> dict[str, Any]:
    """Print and return seconds, ratios and differences of inertia."""
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    n, dim, k, repeats = (10_000, 256, 100, 2) if quick else (50_000, 512, 500, 5)
    figures: dict[str, Any] = {
        "threads": THREADS,
        "points": n,
        "dimensions": dim,
        "clusters": k,
        "target_over_faiss_and_scikit": TARGET_PLAIN,
        "target_tolerance_over_faiss": TARGET_TOLERANCE,
        "target_hierarchy_s": TARGET_HIERARCHY,
    }
    with threadpool_limits(THREADS):
        for make in (noise, blobs, network):
            entry = compare(make(n, dim), k, repeats)
            figures[make.__name__] = entry
            print(f"{make.__name__:8s}", "  ".join(f"{key} {value:.3g}" for key, value in entry.items()), flush=True)
        n, levels = (20_000, (200, 40, 10)) if quick else (200_000, (1000, 100, 10))
        x = network(n, 256)
        start = time.perf_counter()
        HierarchicalKMeans(levels, resample_rounds=10).fit(x)
        figures["hierarchy_s"] = time.perf_counter() - start
    print(f"hierarchy {levels} of {n} x 256, 10 rounds a level: {figures['hierarchy_s']:.1f} s")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
