"""How the stages of cutouts do their work."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from skysift.cutouts.catalogue import Catalogue, join_shards, with_labels
from skysift.cutouts.images import inspect_images
from skysift.cutouts.measure import Counts, measure, read_counts
from skysift.cutouts.merging import merge
from skysift.cutouts.pack import pack_rows, plan_pack, prepare_pack
from skysift.cutouts.pixels import PIXELS, PixelSource
from skysift.cutouts.schema import MOSAIC_SCHEMA
from skysift.cutouts.tasks import Target, Task, plan_boxes, plan_grids
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.cutouts.stages import Cutouts, Merge, Pack
    from skysift.sky.info import MosaicInfo
    from skysift.store.context import Context

Windows = npt.NDArray[np.integer]


def run_cutouts(stage: Cutouts, context: Context) -> dict[str, Any]:
    """Make the catalogue of a `Cutouts` request; see there.

    Raises
    ------
    RequestError
        If a mosaic can't be cut up as asked, or no cutout is left.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        targets = _targets(stage, context)
    context.keep_warnings(caught)
    targets.sort(key=lambda target: (target.fingerprint, target.info.plane))
    names = {target.fingerprint: target.info.path for target in targets}
    counts: dict[str, Any] = {"mosaics": len(targets)}
    labels: dict[str, list[str]] = {}
    if stage.sources is None:
        tasks = _grid_tasks(stage, targets)
    else:
        from skysift.cutouts.boxes import source_boxes

        found = source_boxes(stage, context.sources("sources")[0].path, targets)
        if found.off_map:
            context.warn(f"{found.off_map} of {found.sources} sources lie in no mosaic and give no cutout.")
        counts |= {"sources": found.sources, "off_map": found.off_map}
        labels = found.labels
        tasks = list(plan_boxes(targets, found.boxes, min_valid=stage.min_valid, complexity=stage.complexity))
    shards = context.sharded(measure, tasks, label="cutouts")
    by_mosaic = read_counts([pq.read_schema(shard) for shard in shards])
    counts |= _check(stage, by_mosaic, names, context)
    table = join_shards(shards)
    if labels:
        table = with_labels(table, [labels.get(id_) for id_ in table.column("cutout_id").to_pylist()])
    rows = [target.row() for target in targets]
    catalogue = Catalogue(table, pa.Table.from_pylist(rows, schema=MOSAIC_SCHEMA))
    catalogue.write(context.folder)
    return {"rows": len(catalogue), **counts}


def _targets(stage: Cutouts, context: Context) -> list[Target]:
    """Inspect the mosaics among the files; their masks and the list of sources may lie beside them."""
    others = {file.fingerprint for _, file in context.companions("mask")}
    if stage.sources is not None:
        others |= {source.fingerprint for source in context.sources("sources")}
    prints = {source.path: source.fingerprint for source in context.sources("mosaics")}
    infos = inspect_images([path for path, print_ in prints.items() if print_ not in others], stage)
    return [_target(stage, info, prints[info.path], context) for info in infos]


def _target(stage: Cutouts, info: MosaicInfo, fingerprint: str, context: Context) -> Target:
    from skysift.sky.masks import open_mask

    mask = mask_fingerprint = None
    for owner, file in context.companions("mask"):
        if owner == fingerprint:
            with open_mask(file.path, info) as opened:
                mask, mask_fingerprint = opened.info, file.fingerprint
    return Target(info, fingerprint, stage.zero_is_nan, mask, mask_fingerprint)


def _grid_tasks(stage: Cutouts, targets: Sequence[Target]) -> list[Task]:
    from skysift.sky.windows import sliding_windows

    windows = [
        sliding_windows(t.info.shape, stage.window_size, stage.overlap, edge=stage.edge, name=t.info.path)
        for t in targets
    ]
    return list(plan_grids(targets, windows, min_valid=stage.min_valid, complexity=stage.complexity))


def _check(stage: Cutouts, by_mosaic: dict[str, Counts], names: dict[str, str], context: Context) -> dict[str, int]:
    """Count what was dropped; complain of mosaics without data and of an empty catalogue."""
    empty = [names[name] for name, count in by_mosaic.items() if count.windows and not count.with_data]
    kept = sum(count.kept for count in by_mosaic.values())
    windows = sum(count.windows for count in by_mosaic.values())
    if empty and len(empty) == len(by_mosaic):
        which = empty[0] if len(empty) == 1 else f"{empty[0]} and {len(empty) - 1} more"
        raise RequestError(f"{which}: no finite pixel in any window; give mosaics with data, or another plane or HDU.")
    if not kept:
        raise RequestError(
            f"None of the {windows} cutouts has a valid fraction of {stage.min_valid}: lower --min-valid."
        )
    for name in empty:
        context.warn(f"{name} has no finite pixel in any window and gives no cutout.")
    return {"windows": windows, "dropped_invalid": windows - kept, "empty_mosaics": len(empty)}


def run_merge(stage: Merge, context: Context) -> dict[str, Any]:
    """Make the catalogue of a `Merge` request; see there."""
    ids = sorted(set(stage.catalogues))
    merged, counts = merge([Catalogue.open(context.input(id_)) for id_ in ids], stage.min_separation)
    merged.write(context.folder)
    return {"catalogues": len(ids), "mosaics": merged.mosaics.num_rows, **counts}


def run_pack(stage: Pack, context: Context) -> dict[str, Any]:
    """Make the pack of a `Pack` request; see there."""
    artifact = context.input(stage.cutouts)
    catalogue = Catalogue.open(artifact)
    if not len(catalogue):
        raise RequestError(f"{artifact.kind} {artifact.id} has no rows to pack; choose another set.")
    source = PixelSource.open(artifact, context.locate)
    masks = catalogue.mosaics.column("mask").null_count < catalogue.mosaics.num_rows
    # In the scratch folder what a killed run has copied survives; it moves out as one file when all is there. A run
    # killed right then has lost it, and begins anew.
    if not (context.scratch / PIXELS).exists():
        shutil.rmtree(context.scratch / "pack", ignore_errors=True)
    written = prepare_pack(source, context.scratch, masks)
    context.sharded(pack_rows, list(plan_pack(source, context.scratch, masks)), label="pack", suffix=".done")
    for path in written:
        path.replace(context.folder / path.name)
    catalogue.write(context.folder)
    pixels = int((source.sizes[:, 0] * source.sizes[:, 1]).sum())
    return {"rows": len(catalogue), "pixels": pixels, "masks": int(masks)}
