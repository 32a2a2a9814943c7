"""Classification by texts alone, for encoders with a text tower (CLIP, SigLIP): nothing is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from skysift.errors import RequestError
from skysift.evaluation.protocols.base import Outcome, Problem, Protocol
from skysift.evaluation.protocols.prompts import TEMPLATES, class_texts

if TYPE_CHECKING:
    from skysift.encoders.text import TextTower


@dataclass(frozen=True)
class Texts:
    """What texts are compared with features.

    Attributes
    ----------
    classes : tuple of str
        Class index -> name.
    tower : TextTower
        Of the encoder that made the features.
    """

    classes: tuple[str, ...]
    tower: TextTower


class ZeroShot(Protocol):
    """Compare images with descriptions of the classes."""

    templates: tuple[str, ...] = Field(
        TEMPLATES, min_length=1, description="Sentences with {} for a description of the class; all are averaged."
    )
    prompts: tuple[str, ...] = Field(
        (), description="CLASS=DESCRIPTION|DESCRIPTION, for classes that are not known or known otherwise."
    )

    def evaluate(self, problem: Problem) -> Outcome:
        """Give the softmax over classes of what the model calls the fit of image and text.

        The texts of a class, every template with every description, are averaged in the space of embeddings (Radford
        et al. 2021). SigLIP scores each class by itself; the softmax of its logits ranks them equally and sums to 1.
        """
        import torch

        if problem.texts is None:
            raise RequestError("Zero-shot classification needs the text tower of the encoder that made the features.")
        texts, unknown = class_texts(problem.texts.classes, self.templates, self.prompts)
        classes = problem.texts.tower.embed_classes(texts)
        logits = problem.texts.tower.logits(torch.from_numpy(problem.test), classes)
        notes = [f"no description of the class {name} is known: its name stands for it" for name in unknown]
        chosen = {"texts": {n: len(t) for n, t in zip(problem.texts.classes, texts, strict=True)}}
        return Outcome(logits.softmax(1).numpy(), {**chosen, "chosen_on_validation": False}, notes=notes)
