"""The benchmark as a Markdown table: means with errors, and what differs from the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skysift.evaluation.benchmark.comparisons import LEVEL
from skysift.evaluation.benchmark.scores import Scores
from skysift.readable import measured

METRICS = {"macro_f1": "macro F1", "accuracy": "accuracy"}


def markdown(scores: Scores, comparisons: Sequence[dict[str, Any]], *, baseline: str, metric: str) -> str:
    """Return headings and tables: all labels, then fewer labels, then the paired tests.

    Parameters
    ----------
    scores : Scores
        Of all encoders.
    comparisons : sequence of dict
        Rows of `comparisons.parquet`.
    baseline : str
        Name of the encoder that the others are compared with.
    metric : str
        Score that is shown.
    """
    largest = scores.fractions[0]
    found = {(c["dataset"], c["protocol"], c["fraction"], c["encoder"]): c for c in comparisons}
    parts = [
        f"Mean {METRICS[metric]} and its standard error over draws (and trainings, where there are several). * differs "
        f"from {_cell(baseline)}: p < {LEVEL:g} after Holm's correction for all encoders. The best mean of a column is "
        "bold.\n"
    ]
    for protocol in scores.protocols:
        parts.append(f"## {protocol}, label fraction {largest:g}\n")
        means = [[scores.estimate(e, d, protocol, largest, metric) for d in scores.datasets] for e in scores.encoders]
        best = np.argmax([[m.mean for m in row] for row in means], axis=0)
        rows = []
        for number, encoder in enumerate(scores.encoders):
            cells = []
            for column, dataset in enumerate(scores.datasets):
                text = measured(means[number][column].mean, means[number][column].error)
                mark = _mark(found.get((dataset, protocol, largest, encoder)))
                cells.append((f"**{text}**" if best[column] == number else text) + mark)
            rows.append([encoder, *cells, f"{_mean_rank(means, number):.1f}"])
        parts.append(_table(["encoder", *scores.datasets, "mean rank"], rows))
    if len(scores.fractions) > 1:
        for protocol in scores.protocols:
            parts.append(f"## {protocol}, fewer labels\n")
            header = ["dataset", "encoder", *(f"{fraction:g}" for fraction in scores.fractions)]
            rows = [
                [
                    dataset,
                    encoder,
                    *(_fewer(scores, found, encoder, dataset, protocol, f, metric) for f in scores.fractions),
                ]
                for dataset in scores.datasets
                for encoder in scores.encoders
            ]
            parts.append(_table(header, rows))
    if comparisons:
        parts.append(f"## Against {_cell(baseline)}, label fraction {largest:g}\n")
        header = ["dataset", "protocol", "encoder", "difference", "95 % interval", "t", "dof", "p", "p (Holm)"]
        rows = [_comparison(c) for c in comparisons if c["fraction"] == largest]
        parts.append(_table([*header, "p (signed ranks, Holm)", "test"], rows))
    return "\n".join(parts)


def _fewer(
    scores: Scores,
    found: dict[Any, dict[str, Any]],
    encoder: str,
    dataset: str,
    protocol: str,
    fraction: float,
    metric: str,
) -> str:
    estimate = scores.estimate(encoder, dataset, protocol, fraction, metric)
    return measured(estimate.mean, estimate.error) + _mark(found.get((dataset, protocol, fraction, encoder)))


def _comparison(row: dict[str, Any]) -> list[str]:
    interval = "–" if row["low"] is None else f"{row['low']:+.3f} to {row['high']:+.3f}"
    return [
        row["dataset"],
        row["protocol"],
        row["encoder"],
        f"{row['difference']:+.3f}",
        interval,
        _digits(row["statistic"], ".2f"),
        _digits(row["dof"], ".1f"),
        *(_digits(row[name], ".2g") for name in ("p", "p_holm", "p_wilcoxon_holm")),
        row["test"] or "none: one draw",
    ]


def _mark(comparison: dict[str, Any] | None) -> str:
    known = comparison is not None and comparison["p_holm"] is not None
    return "\\*" if known and comparison is not None and comparison["p_holm"] < LEVEL else ""


def _mean_rank(means: list[list[Any]], number: int) -> float:
    """Return the mean over labelled sets of an encoder's rank, 1 = best; equal means share their ranks."""
    table = np.array([[m.mean for m in row] for row in means])
    better = (table > table[number]).sum(axis=0)
    equal = (table == table[number]).sum(axis=0)
    return float((better + (equal + 1) / 2).mean())


def _digits(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """Keep a name from ending its cell."""
    return text.replace("|", "\\|").replace("\n", " ")
