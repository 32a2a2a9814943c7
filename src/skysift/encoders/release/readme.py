"""The model card of a release: data, lineage, training, scores, limits, licences, citation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import skysift
from skysift.encoders.domain import Domain, domain_notes
from skysift.encoders.release.words import FILE, preprocessing_in_words

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder

CITE = """@software{skysift,
  author = {{The skysift developers}},
  title = {skysift: from radio survey mosaics to curated training sets, self-supervised encoders and discoveries},
  version = {VERSION},
  url = {https://github.com/skysift/skysift}
}"""


@dataclass(frozen=True)
class Probe:
    """A score of the encoder on a labelled set.

    Attributes
    ----------
    dataset, protocol : str
        What was scored, and how.
    samples : int
        Labelled cutouts.
    accuracy, macro_f1 : str
        With errors.
    seen : str
        Whether the training set holds images of the labelled set.
    source : str
        The artifact that holds the score.
    """

    dataset: str
    protocol: str
    samples: int
    accuracy: str
    macro_f1: str
    seen: str
    source: str


@dataclass(frozen=True)
class Provenance:
    """What a store knows of an encoder.

    Attributes
    ----------
    title : str
        Heading of the card.
    id : str or None
        Of the model, where it lies in a store.
    training : dict of str to str
        Options of the training.
    lineage : list of tuple of str
        Kind, id, and what it is, of all that it was made from; nearest first.
    probes : list of Probe
        Scores that descend from the model.
    licences : list of tuple of str
        Weights that it started from, and their licence.
    licence : str or None
        That the person who publishes it chose.
    domain : Domain or None
        The range of the training set.
    """

    title: str
    id: str | None = None
    training: dict[str, str] = field(default_factory=dict)
    lineage: list[tuple[str, str, str]] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    licences: list[tuple[str, str]] = field(default_factory=list)
    licence: str | None = None
    domain: Domain | None = None


def release_card(encoder: Encoder, known: Provenance, usage: Sequence[str], difference: float | None) -> str:
    """Write the card of a release.

    Parameters
    ----------
    encoder : Encoder
        What it is about.
    known : Provenance
        Where it comes from.
    usage : sequence of str
        Lines of Python that load it, see `write_weights`.
    difference : float, optional
        Between ONNX and torch; None where there is no ONNX file.

    Returns
    -------
    str
        Markdown with a head as the hub reads it; the same for the same encoder and store.
    """
    about = encoder.description
    library = "timm" if about.family == "timm" else "transformers"
    head = ["---", f"library_name: {library}", "pipeline_tag: image-feature-extraction"]
    head += [f"license: {known.licence}"] if known.licence else []
    head += ["tags:", "- radio-astronomy", "- self-supervised-learning", "---", ""]
    count = sum(p.numel() for p in encoder.module.parameters())
    facts = [
        ("backbone", f"{about.backbone} ({library})"),
        ("parameters", f"{count:,}"),
        ("input", f"{about.channels} x {about.image_size} x {about.image_size}"),
        ("features", str(about.dim)),
        ("digest of the weights", encoder.digest()),
        *([("skysift id", known.id)] if known.id else []),
    ]
    parts = [
        [f"# {known.title}", "", "An encoder of radio images, written by skysift.", "", *table(("", ""), facts)],
        _use(encoder, usage, difference),
        _preprocessing(encoder),
        _data(known),
        _training(known),
        _lineage(known),
        _probes(known.probes),
        _limits(known),
        _licences(known),
        ["## Citation", "", "```bibtex", *CITE.replace("VERSION", skysift.__version__).splitlines(), "```"],
    ]
    return "\n".join([*head, *("\n".join([*part, ""]) for part in parts)])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, a line a row."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(_cell(str(cell)) for cell in row) + " |" for row in rows]


def _use(encoder: Encoder, usage: Sequence[str], difference: float | None) -> list[str]:
    about = encoder.description
    normalise = []
    if about.mean is not None or about.std is not None:
        mean, std = about.mean or (0.0,) * about.channels, about.std or (1.0,) * about.channels
        normalise = [
            f"mean = torch.tensor({list(mean)})[:, None, None]",
            f"std = torch.tensor({list(std)})[:, None, None]",
            "images = (images - mean) / std",
        ]
    shape = f"(B, {about.channels}, {about.image_size}, {about.image_size})"
    lines = ["## Use", "", f"`images` are tensors {shape} in [0, 1], preprocessed as below.", "", "```python"]
    lines += [*(["import torch"] if normalise else []), *usage[:-1], *normalise, usage[-1], "```", ""]
    if difference is None:
        return [*lines, "There is no ONNX file with it."]
    return [
        *lines,
        f"`model.onnx` takes `images` {shape} in [0, 1], normalises them itself and gives `features` (B, {about.dim}).",
        f"It differs from torch by {difference:.0e} at most, in units of the largest feature where that is above 1.",
        "",
        "```python",
        "import onnxruntime",
        "",
        'session = onnxruntime.InferenceSession("FOLDER/model.onnx")',
        '(features,) = session.run(None, {"images": images})  # float32',
        "```",
    ]


def _preprocessing(encoder: Encoder) -> list[str]:
    steps = enumerate(preprocessing_in_words(encoder.description.preprocess), start=1)
    numbered = [f"{number}. {step}" for number, step in steps]
    return ["## Preprocessing", "", *numbered, "", f"`{FILE}` holds the same as options of skysift's `Preprocess`."]


def _lineage(known: Provenance) -> list[str]:
    lines = ["## Lineage", ""]
    return [*lines, *(table(("kind", "id", "what"), known.lineage) if known.lineage else ["Nothing is known of it."])]


def _data(known: Provenance) -> list[str]:
    if known.domain is None:
        return ["## Data", "", "What the training set was like is not known, so new data can't be compared with it."]
    facts = [("cutouts", str(known.domain.cutouts)), ("mosaics", str(known.domain.mosaics))]
    facts += [(name.lower(), text) for name, text in domain_notes(known.domain).items()]
    return ["## Data", "", "What it was trained on, without labels:", "", *table(("", ""), facts)]


def _training(known: Provenance) -> list[str]:
    rows = table(("option", "value"), list(known.training.items()))
    return ["## Training", "", *(rows if known.training else ["How the weights were trained is not known."])]


def _probes(probes: Sequence[Probe]) -> list[str]:
    lines = ["## Scores", ""]
    if not probes:
        return [*lines, "No evaluation of this model is known."]
    heads = ("labelled set", "protocol", "samples", "accuracy", "macro F1", "images seen in training", "artifact")
    rows = [(p.dataset, p.protocol, str(p.samples), p.accuracy, p.macro_f1, p.seen, p.source) for p in probes]
    return [*lines, "Mean over draws ± its error.", "", *table(heads, rows)]


def _limits(known: Provenance) -> list[str]:
    lines = [
        "- Features mean little for images that were preprocessed in another way.",
        "- Nothing was tested beyond the scores above; on other surveys, frequencies and resolutions test first.",
        "- Selection and artefacts of the training mosaics are in the features too.",
    ]
    if known.domain is not None:
        unknown = [name.lower() for name, text in domain_notes(known.domain).items() if text.startswith("not known")]
        unsaid = f" Not known, and so not compared: {', '.join(unknown)}." if unknown else ""
        lines.append(f"- skysift warns where the data named above and new ones differ (`domain.json`).{unsaid}")
    if any(probe.seen.startswith("yes") for probe in known.probes):
        lines.append("- Scores on images seen in training, though without labels, are too good for new images.")
    return ["## Limits", "", *lines]


def _licences(known: Provenance) -> list[str]:
    chosen = f"These weights: {known.licence}." if known.licence else "No licence was chosen for these weights."
    lines = ["## Licences", "", chosen, ""]
    if not known.licences:
        return [*lines, "They started from random numbers, not from the weights of others."]
    return [*lines, "Weights that they started from:", "", *table(("weights", "licence"), known.licences)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
