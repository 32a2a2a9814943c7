"""The folder of a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from skysift.encoders.domain import write_domain
from skysift.encoders.release.onnx import write_onnx
from skysift.encoders.release.readme import Provenance, release_card
from skysift.encoders.release.weights import write_weights
from skysift.encoders.release.words import FILE, describe_preprocessing
from skysift.store.digest import write_json

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder


def write_release(encoder: Encoder, folder: Path, known: Provenance, *, onnx: bool = True) -> dict[str, Any]:
    """Write everything that people without skysift need of an encoder.

    Parameters
    ----------
    encoder : Encoder
        On the CPU, in evaluation mode.
    folder : Path
        Gets weights and `config.json` of the backbone's library, `preprocess.json`, `README.md`, `domain.json` where
        the training set is known, and `model.onnx`.
    known : Provenance
        Where the encoder comes from.
    onnx : bool
        Whether to write `model.onnx`.

    Returns
    -------
    dict
        What was written, for `export.json`.
    """
    usage = write_weights(encoder, folder)
    write_json(folder / FILE, describe_preprocessing(encoder))
    if known.domain is not None:
        write_domain(known.domain, folder)
    difference = write_onnx(encoder, folder) if onnx else None
    (folder / "README.md").write_text(release_card(encoder, known, usage, difference), encoding="utf-8")
    return {"model": known.id, "weights": encoder.digest(), "onnx_difference": difference}
