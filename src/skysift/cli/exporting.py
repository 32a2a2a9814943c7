"""The command that writes a model, or cutouts with questions, for people without skysift."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from skysift.cli.registration import add
from skysift.cli.running import StoreOption, open_store
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.store import Artifact, Store

GROUP = Group("Release", sort_key=2)
MODEL = Group("Of a model", sort_key=10)
INSTRUCTIONS = Group("Of cutouts, with --instructions", sort_key=11)


def register(app: App) -> None:
    """Add the command."""
    add(app, export, "export", GROUP)


def export(
    reference: Annotated[str, Parameter(help="A model (id, name, timm:NAME, hf:NAME), or cutouts to ask about.")],
    *,
    to: Annotated[Path, Parameter(help="Folder to write; it must not be there, or be empty.")],
    overwrite: Annotated[bool, Parameter(help="Replace an earlier export.", negative=())] = False,
    onnx: Annotated[bool, Parameter(help="Write ONNX too, checked against torch.", group=MODEL)] = True,
    best: Annotated[
        bool, Parameter(help="The epoch of lowest loss in place of the last.", negative=(), group=MODEL)
    ] = False,
    licence: Annotated[str | None, Parameter(help="Licence of the weights, as cc-by-4.0.", group=MODEL)] = None,
    instructions: Annotated[
        bool, Parameter(help="Write images with questions and answers.", negative=(), group=INSTRUCTIONS)
    ] = False,
    questions: Annotated[int, Parameter(help="Most questions about a cutout.", group=INSTRUCTIONS)] = 3,
    seed: Annotated[int, Parameter(help="Of the choice of questions.", group=INSTRUCTIONS)] = 0,
    preprocess: Annotated[str, Parameter(help="Preset that makes the images.", group=INSTRUCTIONS)] = "riggi2024",
    image_size: Annotated[int, Parameter(help="Side of the images [pixel].", group=INSTRUCTIONS)] = 336,
    store: StoreOption = None,
    quiet: Annotated[bool, Parameter(help="Show no progress.", negative=())] = False,
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.", negative=())] = False,  # noqa: ARG001
) -> None:
    """Write a model for people without skysift, or cutouts with questions for models of vision and language.

    A model becomes weights that timm or transformers load in one line, a model card with data, lineage and scores, its
    preprocessing, and ONNX. Cutouts become PNG images and conversations in JSON lines. Prints the folder.

    Examples
    --------
        skysift export 77aa --to my-encoder --licence cc-by-4.0
        skysift export 77aa --to my-encoder --overwrite --no-onnx
        skysift export 3f2a --instructions --to questions --seed 1
    """
    from skysift.store.export import exported

    opened = open_store(store)
    if instructions:
        about: dict[str, Any] = {"kind": "instructions"}
        with exported(to, about, overwrite=overwrite) as folder:
            about |= _instructions(opened, reference, folder, (preprocess, image_size, questions, seed), quiet=quiet)
    else:
        about = {"kind": "model"}
        with exported(to, about, overwrite=overwrite) as folder:
            about |= _model(opened, reference, folder, onnx=onnx, best=best, licence=licence)
    print(to)
    sys.stdout.flush()


def _model(
    store: Store, reference: str, folder: Path, *, onnx: bool, best: bool, licence: str | None
) -> dict[str, Any]:
    from skysift.encoders import load_encoder
    from skysift.encoders.release import check_onnx_installed, write_release
    from skysift.report.release import provenance_of, provenance_of_web

    if onnx:
        check_onnx_installed()
    if licence is not None and not re.fullmatch(r"[\w.+ -]+", licence):
        raise RequestError(f"--licence takes a name such as cc-by-4.0, not {licence!r}.")
    model = None if ":" in reference or Path(reference).is_dir() else _found(store, reference)
    if model is None:
        if best:
            raise RequestError(f"{reference} is no model that skysift trained; leave --best out.")
        encoder = load_encoder(reference)
        return write_release(encoder, folder, provenance_of_web(encoder, reference, licence=licence), onnx=onnx)
    if best and not (model.folder / "best").is_dir():
        raise RequestError(f"model {model.id[:12]} is that of its best epoch already; leave --best out.")
    encoder = load_encoder(str(model.folder / "best" if best else model.folder))
    known = provenance_of(store, model, licence=licence)
    epoch = model.counts.get("best_epoch") if best else model.config.get("epochs")
    if epoch is not None:
        known.training["exported epoch"] = str(epoch)
    return write_release(encoder, folder, known, onnx=onnx)


def _found(store: Store, reference: str) -> Artifact:
    found = store.get(reference)
    if found.kind != "model":
        hint = "; --instructions writes cutouts" if (found.folder / "catalogue.parquet").is_file() else ""
        raise RequestError(f"{reference} is a {found.kind} artifact, not a model{hint}.")
    return found


def _instructions(
    store: Store, reference: str, folder: Path, options: tuple[str, int, int, int], *, quiet: bool
) -> dict[str, Any]:
    from skysift.cutouts.catalogue import CATALOGUE, Catalogue
    from skysift.cutouts.pixels import PixelSource
    from skysift.datasets.instructions import write_instructions
    from skysift.imaging import Preprocess
    from skysift.store.progress import Progress

    preset, size, questions, seed = options
    if questions < 1 or size < 1 or seed < 0:
        raise RequestError("--questions and --image-size must be at least 1, and --seed at least 0.")
    found = store.get(reference)
    if not (found.folder / CATALOGUE).is_file() or found.kind in ("features", "model"):
        raise RequestError(f"{reference} is a {found.kind} artifact; --instructions takes cutouts or a labelled set.")
    spec = Preprocess.preset(preset, size=size).model_copy(update={"mean": None, "std": None})
    pixels = PixelSource.open(found, store.sources.locate)
    counts = write_instructions(
        Catalogue.open(found),
        pixels,
        folder,
        spec,
        questions=questions,
        seed=seed,
        progress=Progress(quiet=quiet),
    )
    asked = {"cutouts": found.id, "preprocess": preset, "image_size": size, "questions": questions, "seed": seed}
    return {"request": asked, "counts": counts}
