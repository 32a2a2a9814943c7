"""An inverted file for tables of more than a million rows: only the lists nearest to a query are looked into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from skysift.discovery.similar.scan import Matrix, Rows
from skysift.errors import SkysiftError

BLOCK = 65536
POINTS_PER_LIST = 64
PROBES = 64
MARGIN = 4
"""How many times k rows are taken from rounded features, to be put in order by the exact ones."""


class InvertedFile:
    """faiss's inverted file over rows of length 1 (or rows as they are) in float16.

    Its answers are candidates: `Index` puts them in order by the features themselves.

    Attributes
    ----------
    index : faiss.Index
    """

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def train(
        cls,
        features: NDArray[Any],
        inverse: Matrix | None,
        *,
        lists: int | None = None,
        probes: int = PROBES,
        seed: int = 0,
    ) -> InvertedFile:
        """Cluster a seeded sample into lists and file every row.

        Parameters
        ----------
        features : ndarray (N, D)
            May be a memory map.
        inverse : ndarray (N,) or None
            What rows are multiplied with first.
        lists : int, optional
            Number of lists; about 2 sqrt(N) by default.
        probes : int
            Lists that a query looks into.
        seed : int
            Of the sample and of k-means.
        """
        rows, dim = features.shape
        lists = min(lists or 2 ** int(np.round(np.log2(2 * np.sqrt(rows)))), rows)
        centroids = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            centroids, dim, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
        )
        index.cp.seed, index.cp.niter = seed, 10
        index.cp.spherical = inverse is not None
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, POINTS_PER_LIST
        sample = np.random.default_rng(seed).permutation(rows)[: lists * POINTS_PER_LIST]
        index.train(_scaled(features, inverse, np.sort(sample)))
        for start in range(0, rows, BLOCK):
            index.add(_scaled(features, inverse, np.arange(start, min(start + BLOCK, rows))))
        index.nprobe = min(probes, lists)
        return cls(index)

    @classmethod
    def open(cls, path: Path) -> InvertedFile:
        """Open what `save` wrote, memory-mapped.

        Raises
        ------
        SkysiftError
            If it can't be read.
        """
        try:
            return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY))
        except RuntimeError:
            raise SkysiftError(f"{path}: no index of faiss; `skysift verify` says what is wrong.") from None

    def save(self, path: Path) -> None:
        """Write it; equal indexes give equal bytes."""
        faiss.write_index(self.index, str(path))

    def candidates(self, queries: Matrix, k: int) -> Iterator[Rows]:
        """Yield, for each query, rows among which the likest k are expected; never fewer than k."""
        for query in queries:
            probes = self.index.nprobe
            settings = faiss.SearchParametersIVF()
            while True:
                settings.nprobe = probes
                _, found = self.index.search(query[None], min(MARGIN * k + 64, self.index.ntotal), params=settings)
                rows = found[0][found[0] >= 0]
                if len(rows) >= k or probes >= self.index.nlist:
                    break
                probes = min(4 * probes, self.index.nlist)
            yield np.sort(rows).astype(np.int64)


def _scaled(features: NDArray[Any], inverse: Matrix | None, rows: Rows) -> Matrix:
    taken = np.ascontiguousarray(features[rows], np.float32)
    return taken if inverse is None else taken * inverse[rows, None]
