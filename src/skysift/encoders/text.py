"""Text towers: how well images fit descriptions, for models that were trained on both (CLIP, SigLIP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from skysift.encoders.hub import tokenizer_folder
from skysift.encoders.load import Request
from skysift.encoders.transformer import first_line, load_weights, quiet, transformers_library, whole_config
from skysift.errors import RequestError, SkysiftError

__all__ = ["TextTower", "load_text_tower"]

TYPES = ("clip", "metaclip_2", "siglip", "siglip2")
"""Model types of transformers whose images and texts meet in one space."""
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
BATCH = 64


@dataclass(frozen=True)
class TextTower:
    """The text side of an encoder, and what joins it to the encoder's features.

    Attributes
    ----------
    model : nn.Module
        Both towers, in evaluation mode.
    tokenizer : object
        Of transformers.
    """

    model: Any
    tokenizer: Any

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (n, P), of length 1; what goes beyond the longest that the tower takes is cut off."""
        longest = int(self.model.config.text_config.max_position_embeddings)
        padding = "max_length" if "siglip" in self.model.config.model_type else True  # as each was trained
        parts = []
        for start in range(0, len(texts), BATCH):
            tokens = self.tokenizer(
                list(texts[start : start + BATCH]),
                padding=padding,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            )
            words = int(self.model.config.text_config.vocab_size)
            if int(tokens["input_ids"].max()) >= words:
                raise SkysiftError(
                    f"The tokenizer has words beyond the {words} of its text tower: they don't belong together; fetch "
                    "the files of both again."
                )
            found = self.model.get_text_features(**tokens)
            parts.append(found if isinstance(found, Tensor) else found.pooler_output)
        return normalize(torch.cat(parts), dim=1)

    def embed_classes(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Embed classes by several texts each: the mean of their embeddings, (C, P), of length 1.

        As in Radford et al. 2021 (section 3.1.4), the ensemble is built in the space of embeddings.
        """
        rows = self.embed([text for group in texts for text in group]).split([len(group) for group in texts])
        return normalize(torch.stack([group.mean(0) for group in rows]), dim=1)

    @torch.no_grad()
    def logits(self, features: Tensor, classes: Tensor) -> Tensor:
        """Compare images with classes.

        Parameters
        ----------
        features : Tensor
            (n, D) as the encoder of this model gives them.
        classes : Tensor
            (C, P) as `embed_classes` gives them.

        Returns
        -------
        Tensor
            (n, C): exp(scale) times the cosine, plus the bias where the model has one (SigLIP).
        """
        project = getattr(self.model, "visual_projection", None)
        joint = normalize(features if project is None else project(features), dim=1)
        bias = getattr(self.model, "logit_bias", None)
        found = joint @ classes.T * self.model.logit_scale.exp()
        return found if bias is None else found + bias


def load_text_tower(request: Request) -> TextTower:
    """Load the text tower that belongs to an encoder.

    Parameters
    ----------
    request : Request
        Of the encoder, `hf:NAME` or `hf:FOLDER`.

    Returns
    -------
    TextTower
        On the CPU.

    Raises
    ------
    RequestError
        If the encoder has none, or random weights.
    SkysiftError
        If its weights or its tokenizer can't be had.
    """
    family, _, name = request.spec.partition(":")
    remedy = "take the encoder of a two-tower model of transformers, such as hf:openai/clip-vit-base-patch32"
    if family != "hf" or request.weights == "random":
        what = "random weights have" if request.weights == "random" else f"{request.spec} has"
        raise RequestError(f"Zero-shot classification compares images with texts, but {what} no text tower; {remedy}.")
    place = Path(request.weights_from or name).expanduser()
    folder = place if place.is_dir() else tokenizer_folder(name)
    shown = str(place) if place.is_dir() else name
    config = whole_config(folder, shown)
    if config.model_type not in TYPES:
        raise RequestError(f"hf:{shown} is a {config.model_type} without a text tower; {remedy}.")
    return TextTower(load_weights(folder, config, shown), _tokenizer(folder, shown))


def _tokenizer(folder: Path, name: str) -> Any:
    if not any((folder / file).is_file() for file in VOCABULARIES):  # transformers would make up an empty one
        raise SkysiftError(
            f"hf:{name} comes without a tokenizer: put tokenizer.json and tokenizer_config.json beside the weights."
        )
    transformers = transformers_library()
    with quiet(transformers):
        try:
            return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # tokenizers raises the base class
            raise SkysiftError(
                f"hf:{name}: its tokenizer can't be read ({first_line(error)}); fetch its files again."
            ) from error
