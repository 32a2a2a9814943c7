"""The model card: one page of Markdown that says what an encoder is and how to use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder


def model_card(encoder: Encoder, notes: dict[str, str]) -> str:
    """Write the card of an encoder.

    Parameters
    ----------
    encoder : Encoder
        What it is about.
    notes : dict of str to str
        Further lines, in order: what it was trained on, how, and how well it does.

    Returns
    -------
    str
        Markdown; the same for the same encoder, without times or paths.
    """
    description = encoder.description
    count = sum(p.numel() for p in encoder.module.parameters())
    facts = {
        "Backbone": f"{description.backbone} ({description.family})",
        "Parameters": f"{count:,}",
        "Input": f"{description.channels} x {description.image_size} x {description.image_size}",
        "Features": str(description.dim),
        "Normalisation": _normalisation(description.mean, description.std),
        "Weights": encoder.digest(),
        **{key.capitalize(): value for key, value in sorted(description.origin.items())},
        **notes,
    }
    options = description.preprocess.model_dump(mode="json")
    lines = ["# Encoder", "", "| | |", "|---|---|", *(f"| {k} | {_cell(v)} |" for k, v in facts.items()), ""]
    lines += ["## Preprocessing", "", "| option | value |", "|---|---|"]
    lines += [f"| {k} | {_cell(str(v))} |" for k, v in options.items()]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from skysift.encoders import load_encoder",
        "from skysift.imaging import preprocess",
        "",
        'encoder = load_encoder("FOLDER")  # the folder that this card lies in',
        "features = encoder.encode(preprocess(cutouts, encoder.preprocess))",
        "```",
        "",
        "Features mean little for images preprocessed in another way, and none of the weights was checked on surveys",
        "of another beam or frequency than those named above.",
        "",
    ]
    return "\n".join(lines)


def _normalisation(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> str:
    if mean is None and std is None:
        return "none"
    return f"mean {', '.join(f'{v:g}' for v in mean or ())}; scatter {', '.join(f'{v:g}' for v in std or ())}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
