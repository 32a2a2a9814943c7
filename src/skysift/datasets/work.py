"""How the `Dataset` stage does its work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skysift.cutouts.catalogue import Catalogue, join_shards, unite_mosaics, with_labels
from skysift.cutouts.measure import measure
from skysift.cutouts.merging import drop_repeats
from skysift.cutouts.schema import CATALOGUE_SCHEMA, MOSAIC_SCHEMA
from skysift.cutouts.tasks import TASK_PIXELS, Piece, Target, Task, group_pieces
from skysift.datasets.catalogues import is_catalogue, relabel
from skysift.datasets.formats import read_labelled
from skysift.datasets.labels import LabelMap, natural_order
from skysift.errors import RequestError, SkysiftWarning
from skysift.store.digest import write_json

if TYPE_CHECKING:
    from skysift.datasets.labelled import LabelledSet, Request
    from skysift.datasets.stages import Dataset
    from skysift.sky.info import MosaicInfo
    from skysift.store.context import Context

IntArray = npt.NDArray[np.int64]

_INSPECT_AT_ONCE = 256


def run_dataset(stage: Dataset, context: Context) -> dict[str, Any]:
    """Make the catalogue of a labelled set, and `classes.json` with the order and size of its classes.

    Raises
    ------
    RequestError
        If the set is not as it should be, or nothing is labelled.
    """
    request = stage.request([file.path for file in context.sources("mosaics")])
    path = context.sources("source")[0].path if stage.source is not None else None
    order: tuple[str, ...] = ()
    counts: dict[str, Any] = {}
    if stage.catalogue is not None:
        catalogue = relabel(Catalogue.open(context.input(stage.catalogue)), path, request)
    elif path is not None and is_catalogue(Path(path)):
        catalogue = relabel(Catalogue.open(path), None, request)
    else:
        labelled = read_labelled(str(path), request)
        order = labelled.classes
        if labelled.off_map:
            context.warn(f"{labelled.off_map} entries lie on no map and are left out.")
        counts["off_map"] = labelled.off_map
        catalogue = _catalogue(labelled, request, context)
    total = len(catalogue)
    if stage.label_map:
        mapping = LabelMap.parse(stage.label_map)
        _check_map(mapping, catalogue, context)
        order, catalogue = _map_labels(catalogue, mapping)
        counts["unmapped"] = total - len(catalogue)
    classes = _classes(catalogue, order)
    catalogue.write(context.folder)
    write_json(context.folder / "classes.json", classes)
    unlabelled = sum(1 for entry in catalogue.labels if not entry)
    return {"rows": len(catalogue), "classes": len(classes["classes"]), "unlabelled": unlabelled, **counts}


def _catalogue(labelled: LabelledSet, request: Request, context: Context) -> Catalogue:
    """Measure all images of a set; equal images become one cutout with the labels of both."""
    fingerprints = context.store.sources.fingerprints(labelled.files)
    infos = _inspect(labelled.files, request, context)
    stack = labelled.planes is not None
    targets = [Target(info, print_, stack=stack) for info, print_ in zip(infos, fingerprints, strict=True)]
    planes = labelled.planes if labelled.planes is not None else np.array([i.plane for i in infos])[labelled.file]
    windows = labelled.windows
    if windows is None:
        shapes = np.array([info.shape for info in infos], np.int64)[labelled.file]
        windows = np.concatenate([np.zeros_like(shapes), shapes[:, ::-1]], axis=1)
    rank = np.argsort(np.argsort(np.array(fingerprints), kind="stable"), kind="stable")
    keys = (windows[:, 0], windows[:, 1], windows[:, 3], windows[:, 2], planes, rank[labelled.file])
    order = np.lexsort(keys)
    pieces = list(_pieces(targets, labelled.file[order], planes[order] if stack else None, windows[order]))
    tasks: list[Task] = list(group_pieces(pieces, min_valid=0.0, complexity=False))
    table = with_labels(
        join_shards(context.sharded(measure, tasks, label="dataset")), [labelled.labels[i] for i in order]
    )
    if labelled.ra is not None and labelled.dec is not None:
        table = _with_positions(table, labelled.ra[order], labelled.dec[order])
    if labelled.split is not None:
        split = pa.array([labelled.split[i] or None for i in order], pa.string())
        table = table.set_column(table.schema.get_field_index("split"), CATALOGUE_SCHEMA.field("split"), split)
    used = [targets[i].row() for i in np.unique(labelled.file).tolist()]
    return drop_repeats(Catalogue(table, unite_mosaics([pa.Table.from_pylist(used, schema=MOSAIC_SCHEMA)])))


def _inspect(files: Sequence[str], request: Request, context: Context) -> list[MosaicInfo]:
    jobs = [(files[i : i + _INSPECT_AT_ONCE], request) for i in range(0, len(files), _INSPECT_AT_ONCE)]
    infos: list[MosaicInfo] = []
    texts: dict[str, None] = {}
    # A single job is not worth starting workers for.
    done = map(inspect_files, jobs) if len(jobs) == 1 else context.engine.map(inspect_files, jobs, label="inspect")
    for found, said in done:
        infos += found
        texts |= dict.fromkeys(said)
    for text in list(texts)[:5]:
        context.warn(text)
    if len(texts) > 5:
        context.warn(f"... and {len(texts) - 5} more warnings of this kind.")
    return infos


def inspect_files(job: tuple[Sequence[str], Request]) -> tuple[list[MosaicInfo], list[str]]:
    """Inspect images; return what is known of them and the warnings, worked out by a worker."""
    from skysift.sky.mosaic import inspect_mosaic

    files, request = job
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path in files:
            fits = path.lower().endswith((".fits", ".fit", ".gz", ".fz"))
            hdu, plane = (request.hdu, request.plane) if fits else (None, None)
            found.append(inspect_mosaic(path, hdu=hdu, plane=plane, positions=request.positions))
    return found, [str(w.message) for w in caught if issubclass(w.category, SkysiftWarning)]


def _pieces(
    targets: Sequence[Target], file: IntArray, planes: IntArray | None, windows: IntArray
) -> Iterator[tuple[Target, Piece, int]]:
    """Cut the sorted cutouts into pieces of one file and bounded size."""
    none = np.empty(0, np.int64)
    pixels = np.cumsum(windows[:, 2] * windows[:, 3])
    change = (np.diff(file) != 0) | (np.diff(pixels // TASK_PIXELS) != 0)
    for rows in np.split(np.arange(len(file)), np.flatnonzero(change) + 1):
        part = None if planes is None else planes[rows]
        load = int((windows[rows, 2] * windows[rows, 3]).sum())
        yield targets[file[rows[0]]], Piece(0, none, none, 0, windows[rows], part), load


def _with_positions(table: Any, ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> Any:
    """Fill in positions where the images have none of their own."""
    from skysift.sky.wcs import healpix29

    own = table.column("ra").is_valid().to_numpy()
    good = ~own & np.isfinite(ra) & np.isfinite(dec)
    cells = np.where(good, healpix29(ra % 360.0, dec), table.column("healpix29").fill_null(-1).to_numpy())
    for name, values in (("ra", ra % 360.0), ("dec", dec)):
        merged = np.where(good, values, table.column(name).to_numpy())
        column = pa.array(merged, pa.float64(), from_pandas=True)
        table = table.set_column(table.schema.get_field_index(name), CATALOGUE_SCHEMA.field(name), column)
    column = pa.array(cells, pa.int64(), mask=~(good | own))
    return table.set_column(table.schema.get_field_index("healpix29"), CATALOGUE_SCHEMA.field("healpix29"), column)


def _check_map(mapping: LabelMap, catalogue: Catalogue, context: Context) -> None:
    """Complain of labels that no cutout has, and of classes that stay empty with them."""
    occurring = {label for entry in catalogue.labels for label in entry}
    unknown = [label for label in mapping.members if label not in occurring]
    if not unknown:
        return
    there = ", ".join(sorted(occurring, key=natural_order)[:20]) or "none"
    if len(unknown) == len(mapping.members):
        raise RequestError(f"label map: no cutout has any of its labels; there are {there}.")
    filled = {mapping.members[label] for label in mapping.members if label in occurring}
    empty = [name for name in mapping.classes if name not in filled]
    stays = f", so that {_named('the class', 'the classes', empty)} will be empty" if empty else ""
    context.warn(f"label map: no cutout has {_named('the label', 'the labels', unknown)}{stays}; there are {there}.")


def _named(one: str, several: str, names: Sequence[str]) -> str:
    """Such as `the labels 7, 8 and 2 more`."""
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{one if len(names) == 1 else several} {shown}"


def _map_labels(catalogue: Catalogue, mapping: LabelMap) -> tuple[tuple[str, ...], Catalogue]:
    """Give labels their class; leave out cutouts that had labels and keep none."""
    labels = catalogue.labels
    mapped = [mapping.apply(entry) for entry in labels]
    rows = [i for i, entry in enumerate(mapped) if entry or not labels[i]]
    chosen = catalogue.select(rows)
    return mapping.classes, Catalogue(with_labels(chosen.table, [mapped[i] for i in rows]), chosen.mosaics)


def _classes(catalogue: Catalogue, order: tuple[str, ...]) -> dict[str, Any]:
    """Count the classes, in the order that the set gives or the natural one of their names."""
    sizes: dict[str, int] = dict.fromkeys(order, 0)
    for entry in catalogue.labels:
        for label in entry:
            sizes[label] = sizes.get(label, 0) + 1
    if not any(sizes.values()):
        raise RequestError("Nothing in the labelled set has a label; say where they are with --columns label=NAME.")
    names = [*order, *sorted(set(sizes) - set(order), key=natural_order)]
    return {"classes": names, "counts": [sizes[name] for name in names]}
