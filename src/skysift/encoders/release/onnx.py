"""Encoders as ONNX, checked against torch."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skysift.errors import RequestError, SkysiftError

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder

FILE = "model.onnx"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-4
LARGEST = 1_800_000_000
"""Bytes of weights that fit into the file itself; protobuf ends at 2 GB."""


class Whole(nn.Module):
    """Normalisation, backbone and pooling: images in [0, 1], (B, C, S, S) -> features (B, D)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.module = encoder.module
        self._encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        return self._encoder.encode(images)


def check_onnx_installed() -> None:
    """Refuse to go on without the packages of the extra `onnx`.

    Raises
    ------
    RequestError
        If one is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise RequestError(
            f"ONNX needs {' and '.join(missing)}: `pip install 'skysift[onnx]'`, or leave it out with --no-onnx."
        )


def write_onnx(encoder: Encoder, folder: Path) -> float:
    """Write `model.onnx`, which turns images in [0, 1] into features, for any number of images.

    Parameters
    ----------
    encoder : Encoder
        On the CPU, in evaluation mode.
    folder : Path
        Gets the file; weights over 1.8 GB lie beside it.

    Returns
    -------
    float
        Largest difference between onnxruntime and torch over random images, in units of the largest feature where
        that is above 1.

    Raises
    ------
    SkysiftError
        If the network can't be expressed, or differs by more than 1e-4.
    """
    about, path = encoder.description, folder / FILE
    example = _images(encoder, 2, seed=0)
    size = sum(p.numel() * p.element_size() for p in encoder.module.parameters())
    with _quiet(), torch.no_grad():
        try:
            program: Any = torch.onnx.export(
                Whole(encoder).eval(),
                (example,),
                input_names=["images"],
                output_names=["features"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                dynamo=True,
                verbose=False,
            )
            program.save(str(path), external_data=size > LARGEST)
        except Exception as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SkysiftError(
                f"{about.backbone} can't be written as ONNX ({text}); leave it out with --no-onnx."
            ) from error
    _strip(path)
    difference = compare(encoder, path)
    if not difference <= TOLERANCE:
        raise SkysiftError(
            f"{about.backbone} as ONNX differs from torch by {difference:.1e}, over {TOLERANCE:g}; leave it out with "
            "--no-onnx."
        )
    return difference


@torch.no_grad()
def compare(encoder: Encoder, path: Path) -> float:
    """Return the largest difference between a file in onnxruntime and the encoder, as `write_onnx` does."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 3):  # neither is the number of images that it was traced with
        images = _images(encoder, count, seed=count)
        wanted = encoder.encode(images).numpy()
        (found,) = session.run(None, {"images": images.numpy()})
        if found.shape != wanted.shape:
            return float("inf")
        worst = max(worst, float(np.abs(found - wanted).max()) / max(1.0, float(np.abs(wanted).max())))
    return worst


def _images(encoder: Encoder, count: int, *, seed: int) -> Tensor:
    about = encoder.description
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, about.channels, about.image_size, about.image_size, generator=generator)


def _strip(path: Path) -> None:
    """Take out where on this machine each operation was defined."""
    onnx = importlib.import_module("onnx")
    model = onnx.load(str(path), load_external_data=False)
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        nodes = graph.node
        values = [*getattr(graph, "value_info", ()), *getattr(graph, "initializer", ())]
        for item in (graph, *nodes, *values, *model.graph.input, *model.graph.output):
            item.doc_string = ""
            del item.metadata_props[:]
    onnx.save(model, str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch and onnxscript from talking about their own innards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
