"""Every encoder against the baseline, paired over draws, with one correction for all encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.evaluation.benchmark.scores import Scores
from skysift.evaluation.evaluation import json_number
from skysift.metrics.paired import PairedTest, corrected_resampled_t, exact_mcnemar, holm, signed_rank

if TYPE_CHECKING:
    from skysift.evaluation.benchmark.cells import Cell, Result

RESAMPLED, OVER_REPEATS, MCNEMAR = "corrected resampled t", "t over repeats", "exact McNemar"
LEVEL = 0.05
Right = Mapping[tuple[str, str, str, float], NDArray[np.bool_]]


def _number(name: str, text: str) -> pa.Field:
    return pa.field(name, pa.float64(), metadata={"description": text})


COMPARISONS = pa.schema(
    [
        pa.field("dataset", pa.string(), metadata={"description": "Name of the labelled set."}),
        pa.field("protocol", pa.string(), metadata={"description": "knn, linear ..."}),
        _number("fraction", "Share of the training labels."),
        pa.field("metric", pa.string(), metadata={"description": "Score that is compared."}),
        pa.field("encoder", pa.string(), metadata={"description": "Name of the encoder."}),
        pa.field("baseline", pa.string(), metadata={"description": "Name of the baseline."}),
        pa.field("repeats", pa.int32(), metadata={"description": "Trainings of the encoder or of the baseline."}),
        pa.field("draws", pa.int32(), metadata={"description": "Draws that both were scored on."}),
        _number("difference", "Mean score of the encoder minus that of the baseline."),
        _number("error", "Standard error of the difference; null where unknown."),
        _number("low", "Lower end of the 95 % interval of the difference."),
        _number("high", "Upper end of the 95 % interval of the difference."),
        pa.field("test", pa.string(), metadata={"description": "Test that p is of."}),
        _number("statistic", "Student's t; null where there is none."),
        _number("dof", "Its degrees of freedom."),
        _number("p", "Two-sided p value; null without a test."),
        _number("p_holm", "p after Holm's correction for all encoders of this set, protocol and fraction."),
        _number("p_wilcoxon", "Two-sided p value of the signed ranks over draws."),
        _number("p_wilcoxon_holm", "The same after Holm's correction."),
    ]
)


def compare(
    scores: Scores, *, baseline: str, metric: str, test_over_train: Mapping[str, float], right: Right | None = None
) -> list[dict[str, Any]]:
    """Compare every encoder with the baseline, for every labelled set, protocol and label fraction.

    Parameters
    ----------
    scores : Scores
        Of all encoders.
    baseline : str
        Name of the encoder that the others are compared with.
    metric : str
        Score that is compared.
    test_over_train : mapping of str to float
        Test over training samples of a draw with all labels, by labelled set.
    right : mapping, optional
        Encoder, labelled set, protocol, fraction -> whether each test sample was classified rightly, for sets with one
        draw and one training: these are compared by McNemar's test of their accuracy.

    Returns
    -------
    list of dict
        Rows of `comparisons.parquet`.
    """
    rows = []
    others = [name for name in scores.encoders if name != baseline]
    for dataset in scores.datasets:
        for protocol in scores.protocols:
            for fraction in scores.fractions:
                family = []
                for encoder in others:
                    keys = [(name, dataset, protocol, fraction) for name in (encoder, baseline)]
                    pair = [scores.values(*key, metric) for key in keys]
                    differences = pair[0] - pair[1]
                    mcnemar = None
                    if differences.size == 1 and right is not None:
                        mcnemar = exact_mcnemar(right[keys[0]], right[keys[1]])
                    row = _row(differences, test_over_train[dataset], mcnemar)
                    which = {"dataset": dataset, "protocol": protocol, "fraction": fraction, "metric": metric}
                    family.append({**which, "encoder": encoder, "baseline": baseline, **row})
                for name in ("p", "p_wilcoxon"):
                    adjusted = holm([math.nan if row[name] is None else row[name] for row in family])
                    for row, value in zip(family, adjusted, strict=True):
                        row[f"{name}_holm"] = json_number(float(value))
                rows += family
    return rows


def single_splits(cells: Sequence[Cell], results: Sequence[Result]) -> Right:
    """Return which test samples each encoder got right, where there may be nothing else to compare by."""
    return {
        (cell.encoder, cell.dataset, cell.protocol, cell.fraction): result.right
        for cell, result in zip(cells, results, strict=True)
        if cell.draw == cell.repeat == 0
    }


def _row(differences: NDArray[np.float64], test_over_train: float, mcnemar: float | None) -> dict[str, Any]:
    repeats, draws = differences.shape
    found: PairedTest = corrected_resampled_t(differences, test_over_train=test_over_train)
    low, high = found.interval()
    p, test = found.p, RESAMPLED if draws > 1 else OVER_REPEATS
    if mcnemar is not None:
        p, test = mcnemar, MCNEMAR
    return {
        "repeats": repeats,
        "draws": draws,
        "difference": found.difference,
        "error": json_number(found.error),
        "low": json_number(low),
        "high": json_number(high),
        "test": None if math.isnan(p) else test,
        "statistic": json_number(found.statistic),
        "dof": json_number(found.dof),
        "p": json_number(p),
        "p_wilcoxon": signed_rank(differences.mean(axis=0))[1] if draws > 1 else None,
    }
