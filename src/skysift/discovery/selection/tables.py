"""Tidy tables of a selection: one row a measurement, with what each column means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.schema import CATALOGUE_SCHEMA
from skysift.discovery.selection.evaluate import Crossing, at_crossing, curve, histogram_edges
from skysift.discovery.selection.forest import CONTAMINATIONS, forest_threshold
from skysift.discovery.selection.frames import HELD_OUT, INTERESTING, KINDS, ORDINARY, PARTS, SELECTION, Frames
from skysift.discovery.selection.importance import Importance

if TYPE_CHECKING:
    from skysift.discovery.selection.work import Setting

Floats = NDArray[np.float64]

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
_RECALL = ("recall", _REAL, "Share of the interesting cutouts that are selected.")
_PRECISION = ("precision", _REAL, "Share of the selected cutouts that are interesting.")
_CONTAMINATION = ("contamination", _REAL, "Share of the selected cutouts that are ordinary.")
_SCORE = ("score", _TEXT, "Name of the ranking.")
_TOP = ("top", _WHOLE, "Number of selected features.")
_PART = ("part", _TEXT, "Labelled cutouts that are counted: those that selected the features, or held-out ones.")
_SETTING = (
    _TOP,
    ("max_samples", _TEXT, "Cutouts that each tree is shown: auto (256), or a share of all."),
)


def _table(rows: Sequence[Mapping[str, Any]], *columns: tuple[str, Any, str]) -> Any:
    fields = [pa.field(name, type_, metadata={"description": said}) for name, type_, said in columns]
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))


def scan_table(settings: Sequence[Setting], frames: Frames) -> Any:
    """Return what each forest calls outliers, with each contamination that was tried, a row a part of the labels."""
    rows = []
    for setting in settings:
        for contamination in CONTAMINATIONS:
            threshold = forest_threshold(setting.raw, contamination)
            for part in (SELECTION, HELD_OUT):
                members = frames.of(part)
                outlier = setting.raw[frames.rows[members]] >= threshold
                kind = frames.kind[members]
                hits, dull = (int((outlier & (kind == number)).sum()) for number in (INTERESTING, ORDINARY))
                chosen = int(outlier.sum())
                rows.append(
                    {
                        "top": setting.top,
                        "max_samples": str(setting.share),
                        "forest_contamination": str(contamination),
                        "part": PARTS[part],
                        "threshold": threshold,
                        "outliers": int((setting.raw >= threshold).sum()),
                        "selected": chosen,
                        "recall": hits / int((kind == INTERESTING).sum()),
                        "precision": hits / chosen if chosen else None,
                        "contamination": dull / chosen if chosen else None,
                    }
                )
    return _table(
        rows,
        *_SETTING,
        ("forest_contamination", _TEXT, "Share of outliers that the forest was told to expect, or auto."),
        _PART,
        ("threshold", _REAL, "Least raw score of an outlier."),
        ("outliers", _WHOLE, "Outliers among all cutouts."),
        ("selected", _WHOLE, "Outliers among the labelled cutouts of the part."),
        _RECALL,
        _PRECISION,
        _CONTAMINATION,
    )


def setting_table(settings: Sequence[Setting], frames: Frames) -> Any:
    """Return how each forest ranks the labelled cutouts, whatever the threshold, a row a part of the labels."""
    from sklearn.metrics import average_precision_score

    rows = []
    for setting in settings:
        for part in (SELECTION, HELD_OUT):
            members = frames.of(part)
            scores, kind = setting.raw[frames.rows[members]], frames.kind[members]
            found = curve(scores, kind)
            best = at_crossing(found)
            rows.append(
                {
                    "top": setting.top,
                    "max_samples": str(setting.share),
                    "part": PARTS[part],
                    "average_precision": float(average_precision_score(kind == INTERESTING, scores)),
                    "recall": found.recall[best],
                    "precision": found.precision[best],
                    "contamination": found.contamination[best],
                }
            )
    return _table(
        rows,
        *_SETTING,
        _PART,
        ("average_precision", _REAL, "Of interesting cutouts against all other labelled ones."),
        ("recall", _REAL, "Recall where it crosses the precision."),
        ("precision", _REAL, "Precision there."),
        ("contamination", _REAL, "Share of ordinary ones among the selected there."),
    )


def crossing_table(found: Mapping[str, Crossing], tops: Mapping[str, int]) -> Any:
    """Return the table at the crossing of recall and precision (Riggi et al. 2024, Table 4), on held-out cutouts."""
    rows = [{"score": name, "top": tops.get(name), **asdict(row)} for name, row in found.items()]
    return _table(
        rows,
        _SCORE,
        _TOP,
        ("threshold", _REAL, "Score from which on cutouts are selected."),
        ("selected", _WHOLE, "Held-out cutouts that are."),
        _RECALL,
        _PRECISION,
        _CONTAMINATION,
        ("average_precision", _REAL, "Of interesting cutouts against all other labelled ones."),
        ("recall_error", _REAL, "Standard error of the recall, by bootstrap."),
        ("precision_error", _REAL, "Of the precision."),
        ("contamination_error", _REAL, "Of the contamination."),
    )


def curve_table(scores: Mapping[str, Floats], frames: Frames) -> Any:
    """Return recall, precision and contamination of held-out cutouts against the threshold of each ranking.

    Parameters
    ----------
    scores : mapping of str to ndarray, shape (m,)
        Of the labelled cutouts.
    frames : Frames
        The labelled cutouts.
    """
    held = frames.of(HELD_OUT)
    rows: list[dict[str, Any]] = []
    for name, values in scores.items():
        found = curve(values[held], frames.kind[held])
        columns = (found.threshold, found.selected, found.recall, found.precision, found.contamination)
        for threshold, selected, recall, precision, contamination in np.column_stack(columns).tolist():
            rows.append(
                {
                    "score": name,
                    "threshold": threshold,
                    "selected": int(selected),
                    "recall": recall,
                    "precision": precision,
                    "contamination": contamination,
                }
            )
    return _table(
        rows,
        _SCORE,
        ("threshold", _REAL, "Score from which on cutouts are selected."),
        ("selected", _WHOLE, "Held-out cutouts that are."),
        _RECALL,
        _PRECISION,
        _CONTAMINATION,
    )


def histogram_table(scores: Mapping[str, Floats], frames: Frames) -> Any:
    """Return how the held-out cutouts with each label are distributed over each score; one with two counts twice."""
    held = frames.of(HELD_OUT)
    labels = sorted({label for i in held for label in frames.labels[i]})
    rows = []
    for name, values in scores.items():
        edges = histogram_edges(values[held])
        for label in labels:
            members = [i for i in held if label in frames.labels[i]]
            counts, _ = np.histogram(values[members], edges)
            rows += [
                {"score": name, "label": label, "low": low, "high": high, "count": count}
                for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
            ]
    return _table(
        rows,
        _SCORE,
        ("label", _TEXT, "Label; a cutout may have several."),
        ("low", _REAL, "Least score of the bin."),
        ("high", _REAL, "Its end; the last bin holds it."),
        ("count", _WHOLE, "Held-out cutouts with the label."),
    )


def frame_table(frames: Frames, catalogue: Catalogue) -> Any:
    """Return the labelled cutouts: what they are, and on which side of the division."""
    ids = catalogue.table.column("cutout_id").take(pa.array(frames.rows)).combine_chunks()
    columns = {
        "cutout_id": (ids, "meta.id;meta.main", "Digest of mosaic, HDU, plane and window."),
        "labels": (pa.array(frames.labels, pa.list_(_TEXT)), "meta.code.class", "Labels."),
        "kind": (
            pa.array([KINDS[i] for i in frames.kind.tolist()]),
            "meta.code.class",
            "Interesting, ordinary or other.",
        ),
        "part": (
            pa.array([PARTS[i] for i in frames.part.tolist()]),
            "meta.code",
            "Whether it selected features, was held out, or was dropped as it shares sky across the two.",
        ),
    }
    fields = [
        CATALOGUE_SCHEMA.field(name)
        if name == "cutout_id"
        else pa.field(name, values.type, metadata={"description": said, "ucd": ucd})
        for name, (values, ucd, said) in columns.items()
    ]
    return pa.Table.from_arrays([values for values, _, _ in columns.values()], schema=pa.schema(fields))


def importance_table(found: Importance) -> Any:
    """Return the features that were of use, the most important first."""
    total = float(found.gain.sum())
    rows = [
        {"rank": rank, "feature": int(i), "gain": float(found.gain[i]), "share": float(found.gain[i]) / total}
        for rank, i in enumerate(found.order.tolist(), start=1)
    ]
    return _table(
        rows,
        ("rank", _WHOLE, "1 = most important."),
        ("feature", _WHOLE, "Column of the features, 0-based."),
        ("gain", _REAL, "Loss that its splits saved."),
        ("share", _REAL, "The same as a share of all."),
    )
