"""Files of an evaluation artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skysift.evaluation.evaluation import Evaluation

PREDICTIONS = pa.schema(
    [
        pa.field("draw", pa.int32(), metadata={"description": "Number of the draw."}),
        pa.field("protocol", pa.string(), metadata={"description": "knn, linear ..."}),
        pa.field("row", pa.int64(), metadata={"description": "Row of the features' catalogue."}),
        pa.field("cutout_id", pa.string(), metadata={"description": "Cutout.", "ucd": "meta.id"}),
        pa.field("truth", pa.int32(), metadata={"description": "True class index.", "ucd": "meta.code.class"}),
        pa.field("predicted", pa.int32(), metadata={"description": "Predicted class index."}),
        pa.field(
            "probability", pa.float32(), metadata={"description": "Of the predicted class.", "ucd": "stat.probability"}
        ),
    ]
)
SCORES = pa.schema(
    [
        pa.field("draw", pa.int32(), metadata={"description": "Number of the draw."}),
        pa.field("protocol", pa.string(), metadata={"description": "knn, linear ..."}),
        pa.field("class", pa.string(), metadata={"description": "Class; null = over all."}),
        pa.field("metric", pa.string(), metadata={"description": "Name of the score."}),
        pa.field("parameter", pa.string(), metadata={"description": "Setting that was tried; null = the chosen one."}),
        pa.field("parameter_value", pa.float64(), metadata={"description": "Value of the setting."}),
        pa.field("value", pa.float64(), metadata={"description": "The score; null where it is undefined."}),
    ]
)


def write_evaluation(found: Evaluation, folder: Path) -> dict[str, Any]:
    """Write `metrics.json`, `scores.parquet`, `predictions.parquet` and `confusion.npy`; return the counts."""
    np.save(folder / "confusion.npy", found.confusion)
    pq.write_table(pa.table(found.predictions, schema=PREDICTIONS), folder / "predictions.parquet")
    pq.write_table(pa.Table.from_pylist(found.scores, schema=SCORES), folder / "scores.parquet")
    summary = {"protocol_order": list(found.protocols), **found.summary}
    (folder / "metrics.json").write_text(json.dumps(summary, indent=1, sort_keys=False) + "\n")
    counts: dict[str, Any] = {
        "rows": found.summary["samples"]["labelled"],
        "classes": len(found.summary["classes"]),
        "draws": int(found.confusion.shape[1]),
        "without_class": found.summary["samples"]["without_class"],
        "several_classes": found.summary["samples"]["several_classes"],
        "dropped_overlapping": sum(draw["dropped_overlapping"] for draw in found.summary["draws"]),
    }
    for name in found.protocols:
        overall = found.summary["protocols"][name]["overall"]
        for metric in ("accuracy", "macro_f1"):
            counts[f"{name}_{metric}"] = round(overall[metric]["mean"], 6)
    return counts
