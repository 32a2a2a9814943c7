"""Running an encoder over the cutouts of a catalogue."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.encoders.domain import outside_domain
from skysift.encoders.encoder import Encoder
from skysift.encoders.load import Request
from skysift.errors import RequestError, SkysiftError, SkysiftWarning
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


class Loadable(Hashable, Protocol):
    """What loads an encoder; small, so that workers are sent it rather than the weights."""

    def load(self) -> Encoder:
        """Load it onto the CPU, in evaluation mode."""
        ...


@dataclass(frozen=True)
class Options:
    """How features are computed and kept."""

    device: str
    batch_size: int | None
    precision: Precision
    dtype: str
    orientations: int = 1

    @classmethod
    def of(cls, stage: Features, device: str) -> Options:
        """Take them from a request."""
        return cls(device, stage.batch_size, stage.precision, stage.dtype, stage.orientations)


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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder = request.load()
    context.keep_warnings(caught)
    if request.weights == "pretrained" and (unlike := outside_domain(request.spec, Catalogue.open(cutouts))):
        context.warn(unlike)
    writer = RowWriter(context.scratch / FEATURES, (len(pixels), encoder.dim), stage.dtype, BLOCK_ROWS)
    encode_all(writer, request, encoder, pixels, context, Options.of(stage, context.device))
    writer.publish(context.folder / FEATURES)
    for name in (CATALOGUE, MOSAICS):
        shutil.copyfile(cutouts.path(name), context.folder / name)
    write_json(context.folder / DESCRIPTION, describe(stage, encoder, len(pixels)))
    return {"rows": len(pixels), "dim": encoder.dim}


def encode_all(
    writer: RowWriter,
    request: Loadable,
    encoder: Encoder,
    pixels: PixelSource,
    context: Context,
    options: Options,
    label: str = "features",
) -> None:
    """Encode the blocks that are missing, here or on the engine's workers, and note the throughput.

    Parameters
    ----------
    writer : RowWriter
        Takes (N, encoder.dim); finished blocks survive a kill.
    request : Loadable
        Loads the same encoder in a worker; hashable and picklable.
    encoder : Encoder
        What it loads.
    pixels : PixelSource
        The N cutouts.
    context : Context
        Of the running stage.
    options : Options
        How.
    label : str
        What the progress line says.
    """
    start, missing = time.perf_counter(), writer.missing
    if context.engine.remote:
        tasks = [writer.rows(number) for number in range(writer.blocks)]
        work = partial(extract_shard, request, pixels, options)
        for number, path in enumerate(context.sharded(work, tasks, label=label, suffix=".npy")):
            if number in missing:
                writer.write(number, np.load(path))
    else:
        _extract_here(writer, encoder, pixels, context, options, label)
    rows = sum(len(writer.rows(number)) for number in missing)
    context.runtime["images_per_second"] = rows / max(time.perf_counter() - start, 1e-9)
    context.runtime["torch_threads"] = torch.get_num_threads()


def encoder_request(stage: Features, context: Context) -> Request:
    """Return what loads the encoder, here and in workers; paths are resolved."""
    model = None if stage.model is None else str(context.input(stage.model).folder)
    weights = None if stage.weights_from is None else context.sources("weights_from")[0].path
    return request_of(stage.model_dump(), model, weights)


def request_of(options: Mapping[str, Any], model: str | None, weights_from: str | None) -> Request:
    """Return what loads an encoder.

    Parameters
    ----------
    options : mapping
        Of the `Features` stage.
    model : str, optional
        Folder of the model in the store that takes the encoder's place.
    weights_from : str, optional
        Where the local weights or the encoder's folder is now.
    """
    spec, local = options["encoder"], weights_from
    if model is not None:
        spec = model
    elif weights_from is not None and spec in (FOLDER, LOCAL):
        spec, local = (weights_from if spec == FOLDER else f"hf:{weights_from}"), None
    kept = {name: options[name] for name in ("weights", "seed", "channels", "image_size", "preprocess")}
    return Request(spec, **kept, weights_from=local)


def extract_rows(
    encoder: Encoder,
    pixels: PixelSource,
    rows: range | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    batch_size: int | None = None,
    precision: Precision = "float32",
    orientations: int = 1,
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
    orientations : int
        8 for the mean over all flips and quarter turns, else 1.

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
    found = encode_groups(encoder, pixels, groups, pick_device(device), threads, precision, orientations)
    return np.concatenate([np.empty((0, encoder.dim), np.float32), *found])


def extract_shard(request: Loadable, pixels: PixelSource, options: Options, rows: range, out: Path) -> None:
    """Write the features of one block of rows, on a worker."""
    features = extract_rows(
        _cached(request),
        pixels,
        rows,
        device=options.device,
        threads=1,
        batch_size=options.batch_size,
        precision=options.precision,
        orientations=options.orientations,
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


def _extract_here(
    writer: RowWriter, encoder: Encoder, pixels: PixelSource, context: Context, options: Options, label: str
) -> None:
    """Encode the missing blocks in this process, block after block without a pause between them."""
    device = pick_device(options.device)
    blocks = [(number, groups_of(writer.rows(number), device, options.batch_size)) for number in writer.missing]
    done = writer.shape[0] - sum(len(writer.rows(number)) for number in writer.missing)
    threads = min(torch.get_num_threads(), context.engine.workers)
    every = [group for _, groups in blocks for group in groups]
    stream = encode_groups(encoder, pixels, every, device, threads, options.precision, options.orientations)
    with context.progress.bar(writer.shape[0], label, done=done) as bar:
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
def _cached(request: Loadable) -> Encoder:
    """Load an encoder once a worker; what is to be said of it was said before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkysiftWarning)
        return request.load()
