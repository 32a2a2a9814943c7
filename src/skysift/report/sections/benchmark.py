"""Encoders against each other: means, classes, confusion, fewer labels, and paired tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.evaluation.benchmark.comparisons import LEVEL
from skysift.evaluation.benchmark.markdown import METRICS
from skysift.evaluation.benchmark.scores import Scores
from skysift.readable import measured
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import PROTOCOLS, load_json
from skysift.report.family import Family
from skysift.report.figures.class_scores import draw_class_scores
from skysift.report.figures.confusion import draw_confusion
from skysift.report.figures.differences import Difference, draw_differences
from skysift.report.figures.label_fraction import draw_label_fraction
from skysift.report.numbers import count
from skysift.report.sections.picture import picture
from skysift.store.artifact import Artifact

MOST_PANELS = 3


def make(family: Family) -> Section | None:
    """Show the benchmark nearest to the focus."""
    benchmark = family.nearest("benchmark")
    if benchmark is None:
        return None
    return Section("benchmark", "Benchmark", Page(benchmark).blocks())


class Page:
    """What a benchmark's files say, block by block."""

    def __init__(self, benchmark: Artifact) -> None:
        self.artifact = benchmark
        self.summary = load_json(benchmark, "summary.json")
        self.scores = Scores.open(benchmark)
        self.comparisons: list[dict[str, Any]] = pq.read_table(benchmark.path("comparisons.parquet")).to_pylist()
        self.encoders: list[str] = self.summary["encoders"]
        self.datasets: list[str] = self.summary["dataset_order"]
        self.protocols: list[str] = self.summary["protocols"]
        self.metric: str = self.summary["metric"]
        self.baseline: str = self.summary["baseline"]
        self.largest = self.scores.fractions[0]

    def blocks(self) -> list[Block]:
        """Return the whole section."""
        found: list[Block] = [self._how(), *(self._means(protocol) for protocol in self.protocols)]
        if self.comparisons:
            for start in range(0, len(self.datasets), MOST_PANELS):
                found.append(self._differences(self.datasets[start : start + MOST_PANELS]))
            found.append(self._tests())
        for dataset in self.datasets:
            found.append(self._classes(dataset))
            found += [self._confusion(dataset, protocol) for protocol in self.protocols]
            if len(self.scores.fractions) > 1:
                found.append(self._fewer(dataset))
        found += [Note(note, warning=True) for note in self.summary["notes"][:12]]
        return found

    def _how(self) -> Note:
        parts = []
        for dataset in self.datasets:
            about = self.summary["datasets"][dataset]
            whole = about["fractions"][0]
            parts.append(
                f"{dataset}: {count(about['labelled'])} labelled cutouts of {len(about['classes'])} classes, "
                f"{whole['draws']} draws of about {count(float(np.median(whole['train'])))} training and "
                f"{count(float(np.median(whole['test'])))} test cutouts"
            )
        return Note(
            f"{'; '.join(parts)}. Every encoder is scored on the same draws; training and test share no pixel. "
            f"The baseline is {self.baseline}."
        )

    def _means(self, protocol: str) -> Table:
        rows = []
        for encoder in self.encoders:
            cells = []
            for dataset in self.datasets:
                for metric in METRICS:
                    found = self.scores.estimate(encoder, dataset, protocol, self.largest, metric)
                    cells.append(measured(found.mean, found.error))
            rows.append([encoder, count(self.summary["repeats"][encoder]), *cells])
        header = ["encoder", "trainings", *(f"{d}: {text}" for d in self.datasets for text in METRICS.values())]
        caption = (
            f"{_protocol(protocol)}, label fraction {self.largest:g}: mean and its error over draws and trainings."
        )
        return Table(header, rows, caption, frozenset(range(1, len(header))))

    def _differences(self, datasets: list[str]) -> Block:
        others = [name for name in self.encoders if name != self.baseline]
        panels: dict[str, dict[str, list[Difference]]] = {}
        for dataset in datasets:
            panels[dataset] = {_protocol(protocol): [] for protocol in self.protocols}
        for row in self.comparisons:
            if row["fraction"] == self.largest and row["dataset"] in datasets:
                sure = row["p_holm"] is not None and row["p_holm"] < LEVEL
                difference = Difference(row["difference"], row["low"], row["high"], sure)
                panels[row["dataset"]][_protocol(row["protocol"])].append(difference)
        figure = draw_differences(others, panels, baseline=self.baseline, score=METRICS[self.metric])
        caption = (
            f"Difference from {self.baseline} with its 95 % interval, paired over draws and corrected for the samples "
            f"that draws share. Filled: differs at {100 * LEVEL:g} % after Holm's correction for all encoders."
        )
        return picture(figure, caption, "differences from the baseline")

    def _tests(self) -> Table:
        rows = []
        for row in self.comparisons:
            if row["fraction"] != self.largest:
                continue
            interval = "–" if row["low"] is None else f"{row['low']:+.3f} to {row['high']:+.3f}"
            numbers = [_digits(row[name]) for name in ("p", "p_holm", "p_wilcoxon_holm")]
            which = [row["dataset"], _protocol(row["protocol"]), row["encoder"]]
            rows.append([*which, f"{row['difference']:+.3f}", interval, *numbers, row["test"] or "none"])
        header = ["set", "protocol", "encoder", "difference", "95 % interval", "p", "p (Holm)", "signed ranks (Holm)"]
        caption = f"Every encoder against {self.baseline} in {METRICS[self.metric]}, label fraction {self.largest:g}."
        return Table([*header, "test"], rows, caption, frozenset(range(3, 8)))

    def _classes(self, dataset: str) -> Block:
        classes = self.summary["datasets"][dataset]["classes"]
        series: dict[str, dict[str, list[tuple[float | None, float | None]]]] = {}
        for encoder in self.encoders:
            series[encoder] = {
                protocol: [self._pair(encoder, dataset, protocol, self.largest, "f1", label) for label in classes]
                for protocol in self.protocols
            }
        panels = [(protocol, f"F1, {_protocol(protocol)}") for protocol in self.protocols]
        caption = f"{dataset}: F1 of each class by each encoder, label fraction {self.largest:g}, mean and its error."
        return picture(draw_class_scores(classes, series, panels), caption, f"F1 per class {dataset}")

    def _confusion(self, dataset: str, protocol: str) -> Block:
        classes = self.summary["datasets"][dataset]["classes"]
        matrices = [(name, self._matrix(name, dataset, protocol, classes)) for name in self.encoders]
        caption = f"{dataset}, {_protocol(protocol)}: confusion summed over draws, per cent of each true class."
        return picture(draw_confusion(matrices, classes), caption, f"confusion {dataset} {protocol}")

    def _fewer(self, dataset: str) -> Block:
        panels = {
            _protocol(protocol): {
                encoder: [self._pair(encoder, dataset, protocol, f, self.metric) for f in self.scores.fractions]
                for encoder in self.encoders
            }
            for protocol in self.protocols
        }
        figure = draw_label_fraction(self.scores.fractions, panels, score=METRICS[self.metric])
        caption = f"{dataset}: {METRICS[self.metric]} against the share of the training labels, mean and its error."
        return picture(figure, caption, f"label fraction {dataset}")

    def _pair(
        self, encoder: str, dataset: str, protocol: str, fraction: float, metric: str, label: str | None = None
    ) -> tuple[float | None, float | None]:
        found = self.scores.estimate(encoder, dataset, protocol, fraction, metric, label)
        mean, error = (value if np.isfinite(value) else None for value in (found.mean, found.error))
        return mean, error

    def _matrix(self, encoder: str, dataset: str, protocol: str, classes: list[str]) -> NDArray[np.int64]:
        """Sum a confusion matrix over draws and trainings."""
        where = [("encoder", "==", encoder), ("dataset", "==", dataset), ("protocol", "==", protocol)]
        path = self.artifact.path("confusion.parquet")
        table = pq.read_table(path, filters=[*where, ("fraction", "==", self.largest)])
        matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
        places = {name: number for number, name in enumerate(classes)}
        columns = (table.column(name).to_pylist() for name in ("truth", "predicted", "count"))
        for truth, predicted, number in zip(*columns, strict=True):
            matrix[places[truth], places[predicted]] += number
        return matrix


def _protocol(name: str) -> str:
    return PROTOCOLS.get(name, name)


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
