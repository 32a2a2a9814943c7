"""Running an encoder over the cutouts of a catalogue."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from skysift.cutouts.pixels import PixelSource
from skysift.encoders.encoder import Encoder
from skysift.encoders.load import Request
from skysift.errors import RequestError, SkysiftError
from skysift.features.passes import Precision, encode_groups, groups_of, pick_device
from skysift.features.specification import FOLDER, LOCAL
from skysift.store.digest import write_json
from skysift.tables.features import CATALOGUE, DESCRIPTION, FEATURES
from skysift.tables.writer import RowWriter

if TYPE_CHECKING:
    from skysift.features.stages import Features
    from skysift.store.context import Context

BLOCK_ROWS = 1024
"""Rows that are lost at most when the program is killed; a multiple of the rows of a pass on the CPU."""
MOSAICS = "mosaics.parquet"


@dataclass(frozen=True)
class Options:
    """How features are computed and kept."""

    device: str
    batch_size: int | None
    precision: Precision
    dtype: str

    @classmethod
    def of(cls, stage: Features, device: str) -> Options:
        """Take them from a request."""
        return cls(device, stage.batch_size, stage.precision, stage.dtype)


def extract_features(stage: Features, context: Context) -> dict[str, Any]:
    """Write the features artifact of a request; see `Features`.

    Raises
    ------
    RequestError
        If the encoder can't be had as asked, or there are no cutouts.
    SkysiftError
        If features are not finite, or too large for float16.
    """
    cutouts = context.input(stage.cutouts)
    pixels = PixelSource.open(cutouts, locate=context.locate)
    if not len(pixels):
        raise RequestError(f"{cutouts.kind} {cutouts.id[:12]} holds no cutouts; make it with other options.")
    request = encoder_request(stage, context)
    encoder = request.load()
    writer = RowWriter(context.scratch / FEATURES, (len(pixels), encoder.dim), stage.dtype, BLOCK_ROWS)
    start, missing = time.perf_counter(), writer.missing
    if context.engine.remote:
        tasks = [writer.rows(number) for number in range(writer.blocks)]
        work = partial(extract_shard, request, pixels, Options.of(stage, context.device))
        for number, path in enumerate(context.sharded(work, tasks, label="features", suffix=".npy")):
            if number in missing:
                writer.write(number, np.load(path))
    else:
        _extract_here(writer, encoder, pixels, context, Options.of(stage, context.device))
    rows = sum(len(writer.rows(number)) for number in missing)
    context.runtime["images_per_second"] = rows / max(time.perf_counter() - start, 1e-9)
    context.runtime["torch_threads"] = torch.get_num_threads()
    writer.publish(context.folder / FEATURES)
    for name in (CATALOGUE, MOSAICS):
        shutil.copyfile(cutouts.path(name), context.folder / name)
    write_json(context.folder / DESCRIPTION, describe(stage, encoder, len(pixels)))
    return {"rows": len(pixels), "dim": encoder.dim}


def encoder_request(stage: Features, context: Context) -> Request:
    """Return what loads the encoder, here and in workers; paths are resolved."""
    spec, local = stage.encoder, None
    if stage.model is not None:
        spec = str(context.input(stage.model).folder)
    elif stage.weights_from is not None:
        local = context.sources("weights_from")[0].path
        if stage.encoder in (FOLDER, LOCAL):
            spec, local = (local if stage.encoder == FOLDER else f"hf:{local}"), None
    return Request(spec, stage.weights, stage.seed, stage.channels, stage.image_size, stage.preprocess, local)


def extract_rows(
    encoder: Encoder,
    pixels: PixelSource,
    rows: range | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    batch_size: int | None = None,
    precision: Precision = "float32",
) -> npt.NDArray[np.float32]:
    """Return the features of some cutouts, in memory.

    Parameters
    ----------
    encoder : Encoder
        Brings its preprocessing.
    pixels : PixelSource
        Where the cutouts are read.
    rows : range, optional
        Which; all by default.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:1`.
    threads : int, optional
        How many passes run at once on a CPU; torch's number of threads by default. It changes no byte.
    batch_size : int, optional
        Images in one pass on a GPU.
    precision : str
        `bfloat16` is faster where the device has it, and coarser.

    Returns
    -------
    ndarray of float32, shape (len(rows), D)

    Raises
    ------
    SkysiftError
        If features are not finite.
    """
    rows = range(len(pixels)) if rows is None else rows
    groups = groups_of(rows, pick_device(device), batch_size)
    found = encode_groups(encoder, pixels, groups, pick_device(device), threads, precision)
    return np.concatenate([np.empty((0, encoder.dim), np.float32), *found])


def extract_shard(request: Request, pixels: PixelSource, options: Options, rows: range, out: Path) -> None:
    """Write the features of one block of rows, on a worker."""
    features = extract_rows(
        _cached(request),
        pixels,
        rows,
        device=options.device,
        threads=1,
        batch_size=options.batch_size,
        precision=options.precision,
    )
    with out.open("wb") as stream:
        np.save(stream, checked(features, options.dtype, rows.start))


def describe(stage: Features, encoder: Encoder, rows: int) -> dict[str, Any]:
    """Return what `features.json` holds; equal weights give equal text, wherever they came from."""
    description = encoder.description
    return {
        "rows": rows,
        "dim": encoder.dim,
        "dtype": stage.dtype,
        "encoder": {
            "name": stage.model or stage.encoder,
            "backbone": f"{description.family}:{description.backbone}",
            "channels": description.channels,
            "image_size": description.image_size,
            "origin": description.origin,
            "preprocess": description.preprocess.model_dump(mode="json"),
            "weights": encoder.digest(),
        },
    }


def checked(features: npt.NDArray[np.float32], dtype: str, first_row: int) -> npt.NDArray[Any]:
    """Return features in the type that goes to the disk.

    Raises
    ------
    SkysiftError
        If some are not finite there.
    """
    with np.errstate(over="ignore"):
        kept = features.astype(dtype, copy=False)
    bad = ~np.isfinite(kept).all(axis=1)
    if bad.any():
        row = first_row + int(np.argmax(bad))
        remedy = "use float32" if np.isfinite(features).all() else "use another encoder or preprocessing"
        raise SkysiftError(f"The features of cutout {row} are not finite in {dtype}; {remedy}.")
    return kept


def _extract_here(writer: RowWriter, encoder: Encoder, pixels: PixelSource, context: Context, options: Options) -> None:
    """Encode the missing blocks in this process, block after block without a pause between them."""
    device = pick_device(options.device)
    blocks = [(number, groups_of(writer.rows(number), device, options.batch_size)) for number in writer.missing]
    done = writer.shape[0] - sum(len(writer.rows(number)) for number in writer.missing)
    threads = min(torch.get_num_threads(), context.engine.workers)
    every = [group for _, groups in blocks for group in groups]
    stream = encode_groups(encoder, pixels, every, device, threads, options.precision)
    with context.progress.bar(writer.shape[0], "features", done=done) as bar:
        start, rows = time.perf_counter(), 0
        for number, groups in blocks:
            parts = []
            for part in _first(stream, len(groups)):
                parts.append(part)
                rows += len(part)
                bar.note(f"{rows / (time.perf_counter() - start):.0f} images/s")
                bar.advance(len(part))
            writer.write(number, checked(np.concatenate(parts), writer.dtype.name, writer.rows(number).start))


def _first(stream: Iterator[npt.NDArray[np.float32]], count: int) -> Iterator[npt.NDArray[np.float32]]:
    for _ in range(count):
        yield next(stream)


@lru_cache(maxsize=1)
def _cached(request: Request) -> Encoder:
    """Load an encoder once a worker."""
    return request.load()
