"""Passes of an encoder over groups of cutouts: several at once on a CPU, read ahead for a GPU.

On a CPU each pass reads, preprocesses and encodes a fixed number of cutouts with one thread, and as many passes run at
once as there are threads. So nothing waits for anything, and neither the number of threads nor of workers changes the
order of a single addition: equal bytes on one core and on sixty-four.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from skysift.cutouts.pixels import PixelSource
from skysift.encoders.encoder import Encoder
from skysift.errors import RequestError
from skysift.imaging import preprocess

T = TypeVar("T")
R = TypeVar("R")
Array = npt.NDArray[np.float32]
Precision = Literal["float32", "bfloat16"]

CPU_ROWS = 16
"""Images of a pass on the CPU; a constant, since libraries add in another order for other numbers."""
GPU_ROWS = 256
READERS = 4


def pick_device(name: str) -> torch.device:
    """Return a torch device; `auto` is the first GPU of NVIDIA or AMD, else the CPU.

    Raises
    ------
    RequestError
        If there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestError(f"--device {name} can't be used here ({text}); use cpu or auto.") from None
    return device


def groups_of(rows: range, device: torch.device, batch_size: int | None = None) -> list[range]:
    """Cut rows into the groups of a pass."""
    size = CPU_ROWS if device.type == "cpu" else batch_size or GPU_ROWS
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def encode_groups(
    encoder: Encoder,
    pixels: PixelSource,
    groups: Sequence[range],
    device: torch.device,
    threads: int | None = None,
    precision: Precision = "float32",
    orientations: int = 1,
) -> Iterator[Array]:
    """Yield the features of each group of rows, in order.

    Parameters
    ----------
    encoder : Encoder
        Brings its preprocessing.
    pixels : PixelSource
        Where the cutouts are read.
    groups : sequence of range
        From `groups_of`.
    device : torch.device
        Where the encoder runs.
    threads : int, optional
        How many passes run at once on a CPU; torch's number of threads by default.
    precision : str
        `bfloat16` lets matrix products and convolutions round to 8 bits, for speed; features stay float32.
    orientations : int
        8 for the mean over all flips and quarter turns, else 1.

    Yields
    ------
    ndarray of float32, shape (len(group), D)
    """
    encoder = encoder.to(device)
    encoder.module.eval()
    if device.type == "cpu":
        with one_thread_each() as available:
            yield from ahead(
                lambda rows: _pass(encoder, pixels, rows, precision, orientations), groups, threads or available
            )
    else:
        yield from _on_gpu(encoder, pixels, groups, device, precision, orientations)


def ahead(work: Callable[[T], R], items: Sequence[T], workers: int, waiting: int | None = None) -> Iterator[R]:
    """Yield `work(item)` in the order of the items, worked on in threads, a few of them ahead of the caller."""
    limit = 2 * workers if waiting is None else waiting
    with ThreadPoolExecutor(workers, thread_name_prefix="features") as pool:
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > limit:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Let torch use one thread in each thread of this process; yields how many it used before.

    Several threads may be inside at once; the last one out puts the number back.
    """
    with _threads.lock:
        if _threads.inside == 0:
            _threads.before = torch.get_num_threads()
            torch.set_num_threads(1)
        _threads.inside += 1
    try:
        yield _threads.before
    finally:
        with _threads.lock:
            _threads.inside -= 1
            if _threads.inside == 0:
                torch.set_num_threads(_threads.before)


class _Threads:
    """How many callers want single-threaded arithmetic, and what torch is set back to afterwards."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside, self.before = 0, 1


_threads = _Threads()


@torch.inference_mode()
def _pass(encoder: Encoder, pixels: PixelSource, rows: range, precision: Precision, orientations: int) -> Array:
    """Read, preprocess and encode one group on the CPU."""
    images = preprocess(pixels.read(rows), encoder.preprocess)
    return np.asarray(encode(encoder, images, precision, orientations).numpy())


def encode(encoder: Encoder, images: torch.Tensor, precision: Precision, orientations: int = 1) -> torch.Tensor:
    """Encode images (B, C, S, S) that lie on the encoder's device: float32 (B, D), the mean over orientations."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        found = [
            encoder.encode(turned.contiguous(memory_format=torch.channels_last)).float()
            for turned in itertools.islice(_turned(images), orientations)
        ]
    return found[0] if orientations == 1 else torch.stack(found).mean(0)


def _turned(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the eight flips and quarter turns, the images as they are first."""
    for mirrored in (images, images.flip(3)):
        for quarter in range(4):
            yield mirrored.rot90(quarter, (2, 3))


def _on_gpu(
    encoder: Encoder,
    pixels: PixelSource,
    groups: Sequence[range],
    device: torch.device,
    precision: Precision,
    orientations: int,
) -> Iterator[Array]:
    """Read in threads, preprocess and encode on the device; a result is fetched while the next one is worked out."""
    previous: torch.Tensor | None = None
    with exact_float32():
        for raw in ahead(lambda rows: _pinned(pixels.read(rows)), groups, READERS):
            with torch.inference_mode():
                batch = raw.to(device, non_blocking=True) if isinstance(raw, torch.Tensor) else raw
                images = preprocess(batch, encoder.preprocess, device=device)
                features = encode(encoder, images, precision, orientations)
            if previous is not None:
                yield previous.cpu().numpy()
            previous = features
        if previous is not None:
            yield previous.cpu().numpy()


def _pinned(images: Any) -> Any:
    """Put cutouts of one size into page-locked memory, from where a GPU fetches them by itself."""
    if isinstance(images, np.ndarray) and torch.cuda.is_available():
        return torch.from_numpy(images).pin_memory()
    return images


@contextmanager
def exact_float32() -> Iterator[None]:
    """Switch TensorFloat-32 off, so that CPU and GPU agree."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
