"""What a protocol is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skysift.evaluation.images import ImageSource
    from skysift.evaluation.protocols.zeroshot import Texts


@dataclass(frozen=True)
class Pictures:
    """The images behind a problem's features, for protocols that train the encoder too.

    Attributes
    ----------
    source : ImageSource
        Encoder and images of all labelled samples.
    train, fit, validation, test : ndarray of int64, shape (n,)
        Rows of the source, one for each row of the features of that name.
    """

    source: ImageSource
    train: NDArray[np.int64]
    fit: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def _nothing(note: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Problem:
    """One draw, with features in memory.

    Attributes
    ----------
    train, fit, validation, test : ndarray of float32, shape (n, d)
        Features. `fit` and `validation` are parts of `train`; `validation` may be empty.
    train_classes, fit_classes, validation_classes : ndarray of int64, shape (n,)
        Class indices. Those of the test set stay outside.
    n_classes : int
        Number of classes of the data set, whether or not each is in `train`.
    seed : int
        Seed of this draw.
    device : str
        Torch device for protocols that use one; `auto` leaves it to them.
    pictures : Pictures or None
        The images; None where only features are at hand.
    texts : Texts or None
        The classes and the text tower of the encoder; None where no protocol asks for them.
    advance : callable
        To be called after each of a protocol's `steps`, with a note for the progress line.
    """

    train: NDArray[np.float32]
    train_classes: NDArray[np.int64]
    fit: NDArray[np.float32]
    fit_classes: NDArray[np.int64]
    validation: NDArray[np.float32]
    validation_classes: NDArray[np.int64]
    test: NDArray[np.float32]
    n_classes: int
    seed: int = 0
    device: str = "cpu"
    pictures: Pictures | None = None
    texts: Texts | None = None
    advance: Callable[[str], None] = _nothing


@dataclass(frozen=True)
class Outcome:
    """What a protocol makes of a draw.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_test, n_classes)
        Share of the votes or probability of each class; 0 for classes without a training sample.
    chosen : dict
        Settings that the validation samples chose, and whether they did.
    sweep : list of dict
        One entry a setting that was tried: `parameter`, `value`, `validation_accuracy` (None without validation
        samples) and, where it costs nothing, `probabilities` of the test samples under it.
    notes : list of str
        What a user should know.
    """

    probabilities: NDArray[np.float32]
    chosen: dict[str, Any]
    sweep: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Protocol(BaseModel):
    """Options of a protocol and the one method that carries it out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def steps(self) -> int:
        """Steps of the progress line that a draw takes."""
        return 1

    def evaluate(self, problem: Problem) -> Outcome:  # noqa: ARG002
        """Learn from the training samples and predict the test samples."""
        raise TypeError(f"{type(self).__name__} defines no evaluate()")


def accuracy(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> float | None:
    """Return the share of right predictions; None without samples."""
    if not len(classes):
        return None
    return float((probabilities.argmax(axis=1) == classes).mean())
