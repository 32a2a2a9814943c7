"""An index of features: which rows are most like a vector?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skysift.discovery.similar.scan import Matrix, Rows, inverse_lengths, largest, products
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.discovery.similar.inverted import InvertedFile

__all__ = ["EXACT_ROWS", "Index"]

Metric = Literal["cosine", "inner"]
Method = Literal["auto", "exact", "ivf"]
EXACT_ROWS = 1_000_000
"""Largest table that is searched row by row; above, an inverted file looks only where the likest rows should be."""
MOST_SCORES = 64_000_000
"""Scores held at once."""


class Index:
    """Search for the rows of a table of features that are most like a vector.

    Up to `EXACT_ROWS` rows every one is looked at, in float32. The table is read where it lies (a memory map stays
    one), so an index takes 4 bytes a row of its own. It may be used by several threads at once.

    Attributes
    ----------
    features : ndarray (N, D), float32 or float16
        The table.
    metric : str
        `cosine`, the inner product of rows and vectors of length 1; or `inner`, of them as they are.
    exact : bool
        Whether every row is looked at.

    Examples
    --------
    >>> table = FeatureTable.open(store.get("77ab"))
    >>> rows, similarity = Index.of(table.array).query(table.take([5])[0], 10)
    """

    def __init__(
        self, features: NDArray[Any], metric: Metric, inverse: Matrix | None, inverted: InvertedFile | None = None
    ) -> None:
        self.features, self.metric = features, metric
        self._inverse, self._inverted = inverse, inverted
        self.exact = inverted is None

    @classmethod
    def of(
        cls,
        features: NDArray[Any],
        *,
        metric: Metric = "cosine",
        method: Method = "auto",
        inverted: InvertedFile | None = None,
        seed: int = 0,
    ) -> Index:
        """Make an index of a table.

        Parameters
        ----------
        features : ndarray (N, D), float32 or float16
            May be a memory map.
        metric : {"cosine", "inner"}
            What likeness means.
        method : {"auto", "exact", "ivf"}
            `auto`: exact up to `EXACT_ROWS` rows, an inverted file above.
        inverted : InvertedFile, optional
            One that was made before of these features, with this metric.
        seed : int
            Of the training of an inverted file.

        Raises
        ------
        RequestError
            If the table is empty, has another type, or holds NaN or infinite values.
        """
        if features.ndim != 2 or not features.size or features.dtype not in (np.float32, np.float16):
            raise RequestError(
                f"similar cutouts are looked for in features (N, D) of float32 or float16 with N, D > 0, "
                f"not in {features.shape} of {features.dtype}."
            )
        # an ndarray over the map slices faster than numpy.memmap itself
        table = np.asarray(features)
        inverse = inverse_lengths(table) if metric == "cosine" else None
        if inverted is None and (method == "ivf" or (method == "auto" and len(table) > EXACT_ROWS)):
            from skysift.discovery.similar.inverted import InvertedFile

            inverted = InvertedFile.train(table, inverse, seed=seed)
        return cls(table, metric, inverse, inverted)

    def __len__(self) -> int:
        return len(self.features)

    def query(self, vectors: ArrayLike, k: int = 10) -> tuple[Rows, Matrix]:
        """Return the k most similar rows.

        Parameters
        ----------
        vectors : array_like (D,) or (B, D)
            One or several.
        k : int
            How many rows; all where there are fewer.

        Returns
        -------
        rows : ndarray of int64 (k,) or (B, k)
            The likest first; of equally like ones that of the lower row first.
        similarity : ndarray of float32, of that shape
            Inner product; for `cosine` of vectors of length 1 (0 where one is all zeros). Rows whose similarities
            differ by less than the rounding of float32 may change places.

        Raises
        ------
        RequestError
            If a vector has another length or holds NaN or infinite values, or `k` is below 1.
        """
        asked = np.asarray(vectors, np.float32)
        single = asked.ndim == 1
        queries = np.atleast_2d(asked)
        if queries.ndim != 2 or queries.shape[1] != self.features.shape[1]:
            raise RequestError(
                f"the features of what is searched for have shape {asked.shape}, those searched in "
                f"{self.features.shape[1]} columns; encode it with the same encoder."
            )
        if not np.isfinite(queries).all():
            raise RequestError("the features of what is searched for hold NaN or infinite values; extract them again.")
        if k < 1:
            raise RequestError(f"{k} similar cutouts can't be looked for; ask for at least 1.")
        if self.metric == "cosine":
            lengths = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
            queries = (queries / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        k = min(k, len(self))
        rows = np.empty((len(queries), k), np.int64)
        similarity = np.empty((len(queries), k), np.float32)
        step = max(1, MOST_SCORES // len(self))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            self._search(queries[part], rows[part], similarity[part])
        return (rows[0], similarity[0]) if single else (rows, similarity)

    def _search(self, queries: Matrix, rows: Rows, similarity: Matrix) -> None:
        """Fill `rows` and `similarity` for a few queries."""
        if self._inverted is not None:
            candidates = self._inverted.candidates(queries, rows.shape[1])
            for number, found in enumerate(candidates):
                scores = self._scores(queries[number : number + 1], found)[0]
                best = largest(scores, rows.shape[1])
                rows[number], similarity[number] = found[best], scores[best]
            return
        scores = self._scores(queries)
        for number in range(len(queries)):
            best = largest(scores[number], rows.shape[1])
            rows[number], similarity[number] = best, scores[number, best]

    def _scores(self, queries: Matrix, rows: Rows | None = None) -> Matrix:
        table = self.features if rows is None else self.features[rows]
        scores = products(table, queries)
        if self._inverse is not None:
            scores *= self._inverse if rows is None else self._inverse[rows]
        return scores
