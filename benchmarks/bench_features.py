"""Feature extraction (reading, preprocessing, encoding) against the bare forward pass on ready-made tensors.

The bare pass is measured in two ways, and the faster one counts: torch's own (one pass at a time, all threads in it)
and ours (as many passes at once as threads, each with one). Repeats of the three alternate, so that a busy machine
slows them alike. Cutouts of 128 pixels are read from a mosaic on disk and go through `riggi2024`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits

from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.stages import Cutouts
from skysift.encoders import load_encoder
from skysift.encoders.encoder import Encoder
from skysift.features import extract_rows
from skysift.features.passes import CPU_ROWS, ahead, groups_of, one_thread_each
from skysift.imaging import preprocess
from skysift.store.store import Store

TARGET = 0.9
CASES = {
    "resnet18_224": ("timm:resnet18", 224),
    "resnet18_128": ("timm:resnet18", 128),
    "vit_tiny_224": ("timm:vit_tiny_patch16_224", 224),
}


def main(quick: bool = False) -> dict[str, Any]:
    """Measure all cases; return the ratios."""
    count, repeats = (4 * CPU_ROWS, 1) if quick else (16 * CPU_ROWS, 5)
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "images": count}
    print(f"{count} cutouts of 128 px, {torch.get_num_threads()} threads, median of {repeats}   target {TARGET}")
    print(f"{'encoder':<14} {'extraction':>12} {'bare, torch':>12} {'bare, ours':>12} {'ratio':>7} {'preparation':>12}")
    with tempfile.TemporaryDirectory() as folder:
        pixels = survey(Path(folder))
        for name, (spec, size) in CASES.items():
            if quick and size > 128:
                continue
            encoder = load_encoder(spec, weights="random", image_size=size).to("cpu")
            found = measure(encoder, pixels, count, repeats)
            figures[name] = found
            print(
                f"{name:<14} {found['extraction']:>8.1f} /s {found['bare_torch']:>9.1f} /s "
                f"{found['bare_ours']:>9.1f} /s {found['ratio']:>7.3f} {found['preparation_share']:>11.1%}"
            )
    return figures


def survey(folder: Path) -> PixelSource:
    """Cut a mosaic of noise and point sources into windows of 128 pixels."""
    draw = np.random.default_rng(0)
    image = draw.normal(0, 1e-4, (1536, 1536)).astype(np.float32)
    image[draw.integers(0, 1536, 2000), draw.integers(0, 1536, 2000)] += (
        draw.pareto(1.5, 2000).astype(np.float32) * 1e-3
    )
    image[:, :40] = np.nan
    fits.writeto(folder / "mosaic.fits", image, fits.Header({"BUNIT": "Jy/beam"}))
    store = Store(folder / "store")
    made = store.run(Cutouts(mosaics=(str(folder / "mosaic.fits"),), window_size=(128,), positions="ignore"))
    return PixelSource.open(made, store.sources.locate)


def measure(encoder: Encoder, pixels: PixelSource, count: int, repeats: int) -> dict[str, float]:
    """Time extraction and both bare passes in turn; images a second, and the ratio of each repeat's rates."""
    groups = groups_of(range(count), torch.device("cpu"))
    images = preprocess(pixels.read(range(CPU_ROWS)), encoder.preprocess).contiguous(memory_format=torch.channels_last)
    large = images.repeat(2, 1, 1, 1).contiguous(memory_format=torch.channels_last)

    def extraction() -> None:
        extract_rows(encoder, pixels, range(count), device="cpu")

    @torch.inference_mode()
    def forward(batch: torch.Tensor) -> Any:
        return encoder.encode(batch).numpy()

    def bare_torch() -> None:
        for _ in range(count // len(large)):
            forward(large)

    def bare_ours() -> None:
        with one_thread_each() as threads:
            for _ in ahead(lambda _: forward(images), groups, threads):
                pass

    def preparation() -> None:
        with one_thread_each() as threads:
            for _ in ahead(lambda rows: preprocess(pixels.read(rows), encoder.preprocess), groups, threads):
                pass

    work = {"extraction": extraction, "bare_torch": bare_torch, "bare_ours": bare_ours, "preparation": preparation}
    for function in work.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, function in work.items():
            times[name].append(timed(function))
    found = {name: count / statistics.median(values) for name, values in times.items()}
    bare = [min(pair) for pair in zip(times["bare_torch"], times["bare_ours"], strict=True)]
    found["ratio"] = statistics.median(b / e for b, e in zip(bare, times["extraction"], strict=True))
    found["preparation_share"] = statistics.median(times["preparation"]) / statistics.median(times["extraction"])
    return found


def timed(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
