"""The tidy table of a benchmark's scores, and reading it back as arrays of repeats and draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.evaluation.evaluation import PER_CLASS, json_number
from skysift.metrics.classification import class_scores
from skysift.metrics.uncertainty import Estimate, mean_and_error

if TYPE_CHECKING:
    from skysift.evaluation.benchmark.cells import Cell, Result
    from skysift.store.artifact import Artifact

WHICH = [
    pa.field("encoder", pa.string(), metadata={"description": "Name of the encoder."}),
    pa.field("repeat", pa.int32(), metadata={"description": "Which of the encoder's trainings."}),
    pa.field("dataset", pa.string(), metadata={"description": "Name of the labelled set."}),
    pa.field("protocol", pa.string(), metadata={"description": "knn, linear ..."}),
    pa.field("fraction", pa.float64(), metadata={"description": "Share of the training labels."}),
    pa.field("draw", pa.int32(), metadata={"description": "Number of the draw."}),
]
SCORES = pa.schema(
    [
        *WHICH,
        pa.field("class", pa.string(), metadata={"description": "Class; null = over all."}),
        pa.field("metric", pa.string(), metadata={"description": "Name of the score, or of a chosen setting."}),
        pa.field("value", pa.float64(), metadata={"description": "The score; null where it is undefined."}),
    ]
)
CONFUSION = pa.schema(
    [
        *WHICH,
        pa.field("truth", pa.string(), metadata={"description": "True class.", "ucd": "meta.code.class"}),
        pa.field("predicted", pa.string(), metadata={"description": "Class that was given."}),
        pa.field("count", pa.int64(), metadata={"description": "Test samples.", "ucd": "meta.number"}),
    ]
)


def tidy_scores(cells: Sequence[Cell], results: Sequence[Result], classes: dict[str, tuple[str, ...]]) -> pa.Table:
    """Return a row for each score of each cell.

    Parameters
    ----------
    cells, results : sequence
        What was asked and what was found.
    classes : dict of str to tuple of str
        Names of each labelled set's classes.
    """
    rows = []
    for cell, result in zip(cells, results, strict=True):
        which = _which(cell)
        found = class_scores(result.confusion)
        for metric, value in found.overall().items():
            rows.append({**which, "class": None, "metric": metric, "value": json_number(value)})
        for name, value in result.chosen.items():
            rows.append({**which, "class": None, "metric": f"chosen_{name}", "value": float(value)})
        for index, label in enumerate(classes[cell.dataset]):
            for metric in (*PER_CLASS, "support"):
                value = float(getattr(found, metric)[index])
                rows.append({**which, "class": label, "metric": metric, "value": json_number(value)})
    return pa.Table.from_pylist(rows, schema=SCORES)


def tidy_confusion(cells: Sequence[Cell], results: Sequence[Result], classes: dict[str, tuple[str, ...]]) -> pa.Table:
    """Return a row for each entry of each cell's confusion matrix that is not 0; arguments as in `tidy_scores`."""
    rows = []
    for cell, result in zip(cells, results, strict=True):
        names = classes[cell.dataset]
        for (truth, predicted), count in np.ndenumerate(result.confusion):
            if count:
                entry = {"truth": names[truth], "predicted": names[predicted], "count": int(count)}
                rows.append({**_which(cell), **entry})
    return pa.Table.from_pylist(rows, schema=CONFUSION)


@dataclass(frozen=True)
class Scores:
    """All scores of a benchmark, by what they belong to.

    Attributes
    ----------
    encoders, datasets, protocols : tuple of str
        Names in their order.
    fractions : tuple of float
        Label fractions, largest first.
    """

    encoders: tuple[str, ...]
    datasets: tuple[str, ...]
    protocols: tuple[str, ...]
    fractions: tuple[float, ...]
    _tables: dict[tuple[str, str, str, float, str, str | None], NDArray[np.float64]]

    @classmethod
    def of(cls, table: pa.Table) -> Scores:
        """Sort a tidy table."""
        entries: dict[Any, dict[tuple[int, int], float]] = {}
        names = ("encoder", "dataset", "protocol", "fraction", "metric", "class", "repeat", "draw", "value")
        for *key, repeat, draw, value in _tuples(table, names):
            entries.setdefault(tuple(key), {})[repeat, draw] = np.nan if value is None else value
        tables = {}
        for key, found in entries.items():
            shape = tuple(1 + max(place[axis] for place in found) for axis in (0, 1))
            tables[key] = np.full(shape, np.nan)
            for place, value in found.items():
                tables[key][place] = value
        encoders, datasets, protocols, fractions = (
            tuple(dict.fromkeys(key[position] for key in tables)) for position in range(4)
        )
        return cls(encoders, datasets, protocols, tuple(sorted(fractions, reverse=True)), tables)

    @classmethod
    def open(cls, artifact: Artifact) -> Scores:
        """Read the scores of a benchmark artifact."""
        import pyarrow.parquet as pq

        return cls.of(pq.read_table(artifact.path("scores.parquet")))

    def values(
        self, encoder: str, dataset: str, protocol: str, fraction: float, metric: str, label: str | None = None
    ) -> NDArray[np.float64]:
        """Return a score of every repeat and draw, shape (repeats, draws); NaN where it is undefined."""
        return self._tables[encoder, dataset, protocol, fraction, metric, label]

    def estimate(
        self, encoder: str, dataset: str, protocol: str, fraction: float, metric: str, label: str | None = None
    ) -> Estimate:
        """Return the mean of a score over repeats and draws, and its error."""
        return mean_and_error(self.values(encoder, dataset, protocol, fraction, metric, label))


def _tuples(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _which(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in ("encoder", "repeat", "dataset", "protocol", "fraction", "draw")}
