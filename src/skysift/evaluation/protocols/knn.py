"""k nearest neighbours in cosine similarity, with k chosen on validation samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from skysift.evaluation.protocols.base import Outcome, Problem, Protocol, accuracy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK_ELEMENTS = 16_000_000


class KNN(Protocol):
    """k nearest neighbours in cosine similarity."""

    ks: tuple[int, ...] = Field(
        (1, 3, 5, 10, 20, 50, 100, 200), min_length=1, description="Numbers of neighbours tried."
    )
    weights: Literal["uniform", "similarity"] = Field(
        "uniform", description="One vote each, or exp(cosine / temperature)."
    )
    temperature: float = Field(0.07, gt=0, description="Of the weights by similarity (Wu et al. 2018).")

    def evaluate(self, problem: Problem) -> Outcome:
        """Vote among the nearest training samples; one search serves every k.

        A k larger than the training set means all of it. Of equally good values of k the smallest is chosen; without
        validation samples, 5 or the nearest to it that does not exceed the smallest class: a larger k lets other
        classes outvote it even where it is nearest.
        """
        import numpy as np

        ks = sorted(set(self.ks))
        scores: dict[int, float | None] = dict.fromkeys(ks)
        if len(problem.validation):
            held = self.votes(problem.fit, problem.fit_classes, problem.validation, ks, problem.n_classes)
            scores = {k: accuracy(held[k], problem.validation_classes) for k in ks}
            best = max(ks, key=lambda k: (scores[k] or 0.0, -k))
        else:
            smallest = int(np.unique(problem.train_classes, return_counts=True)[1].min())
            fitting = [k for k in ks if k <= smallest] or ks[:1]
            best = min(fitting, key=lambda k: (abs(k - 5), k))
        votes = self.votes(problem.train, problem.train_classes, problem.test, ks, problem.n_classes)
        sweep: list[dict[str, Any]] = [
            {"parameter": "k", "value": float(k), "validation_accuracy": scores[k], "probabilities": votes[k]}
            for k in ks
        ]
        return Outcome(votes[best], {"k": best, "chosen_on_validation": bool(len(problem.validation))}, sweep)

    def votes(
        self,
        train: NDArray[np.float32],
        classes: NDArray[np.int64],
        test: NDArray[np.float32],
        ks: list[int],
        n_classes: int,
    ) -> dict[int, NDArray[np.float32]]:
        """Return the share of the votes for each class, for each k.

        Parameters
        ----------
        train : ndarray of float32, shape (n, d)
            Training features.
        classes : ndarray of int, shape (n,)
            Their classes.
        test : ndarray of float32, shape (m, d)
            Features to classify, gone through in blocks.
        ks : list of int
            Ascending.
        n_classes : int
            Number of classes.

        Returns
        -------
        dict of int to ndarray of float32, shape (m, n_classes)
            Equally near neighbours count in the order of their rows.
        """
        import numpy as np

        reference, queries = _unit(train), _unit(test)
        most = min(max(ks), len(reference))
        result = {k: np.zeros((len(queries), n_classes), dtype=np.float32) for k in ks}
        one_hot = np.eye(n_classes)[classes]
        step = max(1, CHUNK_ELEMENTS // len(reference))
        for start in range(0, len(queries), step):
            similarity = queries[start : start + step] @ reference.T
            near = _nearest(similarity, most)
            values = np.take_along_axis(similarity, near, axis=1).astype(np.float64)
            weights = np.ones_like(values)
            if self.weights == "similarity":
                weights = np.exp((values - values[:, :1]) / self.temperature)
            running = np.cumsum(one_hot[near] * weights[:, :, None], axis=1)
            for k in ks:
                counted = running[:, min(k, most) - 1]
                result[k][start : start + step] = counted / counted.sum(axis=1, keepdims=True)
        return result


def _nearest(similarity: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the k most similar columns of each row, most similar first, ties by column."""
    import numpy as np

    if k < similarity.shape[1]:
        near = np.sort(np.argpartition(-similarity, k - 1, axis=1)[:, :k], axis=1)
    else:
        near = np.broadcast_to(np.arange(similarity.shape[1]), similarity.shape)
    order = np.argsort(-np.take_along_axis(similarity, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
