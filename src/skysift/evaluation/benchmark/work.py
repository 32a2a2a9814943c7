"""How the `Benchmark` stage does its work: lay out, work out the cells, compare, write."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from skysift.evaluation.benchmark.cells import Cell, Result, check_pairing, make_cells, work_cell
from skysift.evaluation.benchmark.comparisons import COMPARISONS, compare, single_splits
from skysift.evaluation.benchmark.layout import Sheet, describe, lay_out
from skysift.evaluation.benchmark.markdown import markdown
from skysift.evaluation.benchmark.scores import Scores, tidy_confusion, tidy_scores
from skysift.evaluation.protocols.finetune import FineTune
from skysift.store.digest import write_json

if TYPE_CHECKING:
    from skysift.evaluation.benchmark.stages import Benchmark
    from skysift.evaluation.images import ImageSource
    from skysift.store.context import Context


def run_benchmark(stage: Benchmark, context: Context) -> dict[str, Any]:
    """Score every cell on the engine and write the benchmark's files.

    Raises
    ------
    RequestError
        If encoders can't be compared on a labelled set, or one can't be drawn from as asked.
    """
    from threadpoolctl import threadpool_limits

    importlib.import_module("sklearn.linear_model")  # now, lest it count as the first cell's time
    sheets = lay_out(stage, context)
    protocols = stage.protocol_options()
    tuned = [options for options in protocols.values() if isinstance(options, FineTune)]
    with ExitStack() as stack:
        images = {}
        if tuned:
            images = _prepare(sheets, tuned, context)
            stack.enter_context(_one_torch_thread())
        stack.enter_context(threadpool_limits(limits=1))
        cells = make_cells(sheets, protocols, seed=stage.seed, device=context.device, images=images)
        paths = context.sharded(work_cell, cells, label="benchmark", suffix=".json")
    results = [Result.read(path) for path in paths]
    check_pairing(cells, results)
    return _write(stage, context, sheets, cells, results)


def _prepare(sheets: list[Sheet], tuned: list[FineTune], context: Context) -> dict[tuple[str, str, int], ImageSource]:
    """Prepare the images, or frozen features of them, that fine-tuning reads."""
    from skysift.evaluation.images import prepare_images

    found: dict[tuple[str, str, int], ImageSource] = {}
    for sheet in sheets:
        for member in sheet.members:
            artifact = context.input(member.folder.name)
            name = f"images-{len(found):03d}"
            key = (sheet.dataset, member.encoder, member.repeat)
            found[key] = prepare_images(artifact, context, sheet.samples.rows, tuned, name=name)
    return found


def _one_torch_thread() -> AbstractContextManager[int]:
    from skysift.curation.threads import one_thread_an_operation

    return one_thread_an_operation()


def _write(
    stage: Benchmark, context: Context, sheets: list[Sheet], cells: list[Cell], results: list[Result]
) -> dict[str, Any]:
    classes = {sheet.dataset: sheet.samples.class_set.names for sheet in sheets}
    table = tidy_scores(cells, results, classes)
    scores = Scores.of(table)
    baseline = stage.baseline or stage.encoders[0]
    comparisons = compare(
        scores,
        baseline=baseline,
        metric=stage.metric,
        test_over_train={sheet.dataset: sheet.test_over_train for sheet in sheets},
        right=single_splits(cells, results),
    )
    notes = [note for sheet in sheets for note in sheet.notes]
    notes += [
        f"dataset {c.dataset!r}, {c.encoder}, {c.protocol}: {note}"
        for c, r in zip(cells, results, strict=True)
        for note in r.notes
    ]
    notes = list(dict.fromkeys(notes))
    for note in notes:
        context.warn(note)
    pq.write_table(table, context.folder / "scores.parquet")
    pq.write_table(tidy_confusion(cells, results, classes), context.folder / "confusion.parquet")
    pq.write_table(pa.Table.from_pylist(comparisons, schema=COMPARISONS), context.folder / "comparisons.parquet")
    text = markdown(scores, comparisons, baseline=baseline, metric=stage.metric)
    (context.folder / "table.md").write_text(text, encoding="utf-8")
    summary = {
        "encoders": list(stage.encoders),
        "repeats": {name: int(scores.values(*_first(scores, name)).shape[0]) for name in stage.encoders},
        "protocols": list(stage.protocols),
        "fractions": list(scores.fractions),
        "baseline": baseline,
        "metric": stage.metric,
        "datasets": {sheet.dataset: describe(sheet) for sheet in sheets},
        "dataset_order": list(stage.datasets),
        "notes": notes,
    }
    write_json(context.folder / "summary.json", summary)
    return {
        "rows": table.num_rows,
        "cells": len(cells),
        "encoders": len(stage.encoders),
        "datasets": len(sheets),
        "samples": sum(len(sheet.samples) for sheet in sheets),
    }


def _first(scores: Scores, encoder: str) -> tuple[str, str, str, float, str]:
    return encoder, scores.datasets[0], scores.protocols[0], scores.fractions[0], "accuracy"
