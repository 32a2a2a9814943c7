"""Classification scores from a confusion matrix whose classes are fixed by the data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ClassScores:
    """Scores of one classifier on one test set of k classes.

    A class without a test sample has no score: its entries are NaN and the macro averages leave it out. A class
    that has samples but was never predicted has precision 0.

    Attributes
    ----------
    precision, recall, f1 : ndarray of float, shape (k,)
        Per class, NaN where the class has no test sample.
    support, predicted : ndarray of int, shape (k,)
        Test samples that belong to each class, and that were given it.
    accuracy : float
        Share of test samples that are right.
    macro_precision, macro_recall, macro_f1 : float
        Means over the classes that have test samples. Macro recall is the balanced accuracy.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float

    def overall(self) -> dict[str, float]:
        """Return the scores over all classes by name."""
        return {
            "accuracy": self.accuracy,
            "macro_precision": self.macro_precision,
            "macro_recall": self.macro_recall,
            "macro_f1": self.macro_f1,
        }


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count true against predicted classes.

    Parameters
    ----------
    truth, predicted : array_like of int, shape (n,)
        Class indices in [0, n_classes).
    n_classes : int
        Number of classes of the data set, whether or not they occur here.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)
        Row = true class, column = predicted class.

    Raises
    ------
    ValueError
        If the lengths differ or an index is out of range.
    """
    rows = _indices(truth, n_classes, "true")
    columns = _indices(predicted, n_classes, "predicted")
    if rows.shape != columns.shape:
        raise ValueError(f"{rows.size} true classes against {columns.size} predicted ones.")
    cells = np.bincount(rows * n_classes + columns, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes).astype(np.int64)


def class_scores(confusion: ArrayLike) -> ClassScores:
    """Compute every score from a confusion matrix.

    Parameters
    ----------
    confusion : array_like of int, shape (k, k)
        Row = true class, column = predicted class.

    Returns
    -------
    ClassScores

    Raises
    ------
    ValueError
        If the matrix is not square, has a negative entry, or is empty.
    """
    matrix = np.asarray(confusion, dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix is square, not of shape {matrix.shape}.")
    if (matrix < 0).any() or matrix.sum() == 0:
        raise ValueError("a confusion matrix holds non-negative counts of at least one sample.")
    precision, recall, f1 = per_class(matrix)
    return ClassScores(
        precision=precision,
        recall=recall,
        f1=f1,
        support=matrix.sum(axis=1),
        predicted=matrix.sum(axis=0),
        accuracy=float(np.trace(matrix) / matrix.sum()),
        macro_precision=float(np.nanmean(precision)),
        macro_recall=float(np.nanmean(recall)),
        macro_f1=float(np.nanmean(f1)),
    )


def per_class(
    confusions: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each class, for one confusion matrix or a stack of them.

    Parameters
    ----------
    confusions : ndarray of int, shape (..., k, k)
        Row = true class, column = predicted class.

    Returns
    -------
    tuple of three ndarray, shape (..., k)
        NaN for classes without a true sample.
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1).astype(np.float64)
    support = confusions.sum(axis=-1)
    predicted = confusions.sum(axis=-2)
    present = support > 0
    precision = np.where(present, hits / np.maximum(predicted, 1), np.nan)
    recall = np.where(present, hits / np.maximum(support, 1), np.nan)
    f1 = np.where(present, 2 * hits / np.maximum(support + predicted, 1), np.nan)
    return precision, recall, f1


def _indices(values: ArrayLike, n_classes: int, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name} classes must be one row of integers, not {array.dtype} of shape {array.shape}.")
    if array.size and (array.min() < 0 or array.max() >= n_classes):
        raise ValueError(f"{name} classes reach from {array.min()} to {array.max()}, outside [0, {n_classes}).")
    return array.astype(np.int64)
