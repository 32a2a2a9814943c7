"""Images with questions and answers, to fine-tune models of vision and language on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skysift.cutouts.catalogue import Catalogue
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.cutouts.pixels import PixelSource
    from skysift.imaging import Preprocess
    from skysift.store.progress import Progress

JSONL, IMAGES = "instructions.jsonl", "images"
BATCH = 64
DETECTION = 5.0
"""S/N of the peak from which on a cutout is said to show a source."""


@dataclass(frozen=True)
class Cutout:
    """What is asked about: a row of a catalogue; NaN where a number is not known."""

    id: str
    ra: float
    dec: float
    snr: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """A thing to ask about.

    Attributes
    ----------
    questions : tuple of str
        Ways to ask; `{classes}` stands for all classes of the set.
    answer : callable
        What is true of a cutout, or None where it is not known.
    """

    questions: tuple[str, ...]
    answer: Callable[[Cutout], str | None]


def _class(cutout: Cutout) -> str | None:
    if not cutout.labels:
        return None
    names = ", ".join(cutout.labels)
    return f"The image is of class {names}." if len(cutout.labels) == 1 else f"The image is of the classes {names}."


def _count(cutout: Cutout) -> str | None:
    if not cutout.labels:
        return None
    return f"{len(cutout.labels)} label{'s' if len(cutout.labels) > 1 else ''}: {', '.join(cutout.labels)}."


def _source(cutout: Cutout) -> str | None:
    if not np.isfinite(cutout.snr):
        return None
    if cutout.snr >= DETECTION:
        return f"Yes, the brightest pixel stands {cutout.snr:.1f} times above the noise."
    return f"No, no pixel stands more than {DETECTION:g} times above the noise."


def _position(cutout: Cutout) -> str | None:
    if not (np.isfinite(cutout.ra) and np.isfinite(cutout.dec)):
        return None
    return f"The centre is at right ascension {cutout.ra:.5f} deg and declination {cutout.dec:+.5f} deg (ICRS)."


def _snr(cutout: Cutout) -> str | None:
    return f"The peak has a signal-to-noise ratio of {cutout.snr:.1f}." if np.isfinite(cutout.snr) else None


TOPICS: tuple[Topic, ...] = (
    Topic(
        (
            "What class does this radio image belong to?",
            "Which of these classes fits this radio image: {classes}?",
            "Classify this radio image as one of {classes}.",
            "What kind of radio source is this?",
        ),
        _class,
    ),
    Topic(
        (
            "How many labels does this radio image have?",
            "How many classes are named for this radio image, and which?",
        ),
        _count,
    ),
    Topic(
        (
            "Is there a radio source in this image?",
            "Does this cutout show a source above the noise?",
            f"Is any pixel of this image more than {DETECTION:g} times above the noise?",
        ),
        _source,
    ),
    Topic(
        (
            "Where on the sky is this image?",
            "What are the coordinates of the centre of this cutout?",
        ),
        _position,
    ),
    Topic(
        (
            "What is the signal-to-noise ratio of the peak?",
            "How far above the noise is the brightest pixel of this image?",
        ),
        _snr,
    ),
)


def write_instructions(
    catalogue: Catalogue,
    pixels: PixelSource,
    folder: Path,
    spec: Preprocess,
    *,
    questions: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write an image and a conversation for each cutout.

    Parameters
    ----------
    catalogue : Catalogue
        N cutouts; those of which nothing is known are left out.
    pixels : PixelSource
        Their pixels.
    folder : Path
        Gets `instructions.jsonl`, a line a cutout, and `images/CUTOUT_ID.png`.
    spec : Preprocess
        How pixels become images, without mean and scatter.
    questions : int
        Most questions in a conversation.
    seed : int
        Which questions and words are chosen; a cutout's choice depends on nothing but its id and this.
    progress : Progress, optional
        Where progress is shown.

    Returns
    -------
    dict
        Counts.

    Raises
    ------
    RequestError
        If there is nothing to ask about.
    """
    talks = list(conversations(catalogue, questions=questions, seed=seed))
    rows = [row for row, _ in talks]
    if not rows:
        raise RequestError("The catalogue holds no cutouts with labels, S/N or positions, so there is nothing to ask.")
    (folder / IMAGES).mkdir()
    with (folder / JSONL).open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(talk, ensure_ascii=False) + "\n" for _, talk in talks)
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    followed = batches if progress is None else progress.track(batches, total=len(batches), label="export")
    ids = catalogue.column("cutout_id")
    for batch in followed:
        _write_images([folder / _image(ids[row]) for row in batch], pixels.read(batch), spec)
    return {
        "cutouts": len(rows),
        "left_out": len(catalogue) - len(rows),
        "questions": sum(len(talk["conversations"]) // 2 for _, talk in talks),
    }


def conversations(catalogue: Catalogue, *, questions: int, seed: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the row of each cutout that is asked about, and its conversation in the layout of LLaVA.

    LLaVA (Liu et al. 2023, arXiv:2304.08485) takes turns of `human` and `gpt`; `<image>` stands in the first question.
    """
    columns = {name: catalogue.column(name).astype(np.float64) for name in ("ra", "dec", "snr")}
    labels, ids = catalogue.labels, catalogue.column("cutout_id")
    classes = " or ".join(sorted({label for some in labels for label in some}))
    for row, id_ in enumerate(ids):
        place = {name: float(values[row]) for name, values in columns.items()}
        cutout = Cutout(str(id_), **place, labels=tuple(labels[row]))
        turns = _turns(cutout, classes, questions, _generator(cutout.id, seed))
        if turns:
            turns[0]["value"] = "<image>\n" + turns[0]["value"]
            yield row, {"id": cutout.id, "image": _image(cutout.id), "conversations": turns}


def _turns(cutout: Cutout, classes: str, most: int, generator: np.random.Generator) -> list[dict[str, str]]:
    known = [(topic, answer) for topic in TOPICS if (answer := topic.answer(cutout)) is not None]
    turns = []
    for index in generator.permutation(len(known))[:most]:
        topic, answer = known[index]
        question = topic.questions[int(generator.integers(len(topic.questions)))]
        turns += [
            {"from": "human", "value": question.replace("{classes}", classes)},
            {"from": "gpt", "value": answer},
        ]
    return turns


def _generator(cutout_id: str, seed: int) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed},{cutout_id}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def _image(cutout_id: str) -> str:
    return f"{IMAGES}/{cutout_id}.png"


def _write_images(paths: Sequence[Path], images: Any, spec: Preprocess) -> None:
    """Write preprocessed cutouts as 8-bit PNG: grey for one channel, else red, green, blue."""
    from PIL import Image

    from skysift.imaging import preprocess

    done = preprocess(images, spec).permute(0, 2, 3, 1).numpy()
    bytes_ = np.rint(255 * np.clip(done, 0, 1)).astype(np.uint8)
    for path, image in zip(paths, bytes_, strict=True):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path, format="PNG")
