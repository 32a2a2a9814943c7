"""How badly a masked autoencoder paints in what it does not see of a cutout (He et al. 2022, arXiv:2111.06377)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skysift.discovery.scores.base import Array, Raw
from skysift.errors import RequestError

MASKS = 4
"""Masks that each cutout is seen through: with three quarters hidden, a patch is hidden in about three of them."""


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error over the hidden patches that vary, as in training, over the same masks for all cutouts.

    Parameters
    ----------
    model : str
        Folder of a model in the store that was trained by the method mae.
    seed : int
        Of the masks.
    """

    model: str
    seed: int = 0

    def check(self) -> None:
        """Refuse a model without a decoder.

        Raises
        ------
        RequestError
            If it has none.
        """
        options = _options(self.model)
        if options.get("name") != "mae" or not (Path(self.model) / "head.safetensors").is_file():
            trained = f"was trained by {options['name']}" if options.get("name") else "was not trained here"
            raise RequestError(
                f"model {Path(self.model).name[:12]} has no decoder, for it {trained}; the score reconstruction needs "
                "features of a model trained with --method mae, so leave it out or train one."
            )

    @torch.inference_mode()
    def of_pixels(self, images: Sequence[Array]) -> Raw:
        """Score B cutouts (h, w); NaN for those without data or structure."""
        from lightly.models.utils import get_at_index, normalize_mean_var, patchify

        from skysift.imaging import preprocess
        from skysift.ssl.methods.mae import Mask, decode, encode

        encoder, heads, options = _load(self.model)
        vit: Any = encoder.module
        batch = preprocess(list(images), encoder.preprocess)
        side, prefix = vit.patch_embed.patch_size[0], vit.num_prefix_tokens
        patches = vit.patch_embed.num_patches
        total, count = torch.zeros(len(batch)).double(), torch.zeros(len(batch)).double()
        generator = torch.Generator().manual_seed(self.seed)
        always = torch.arange(prefix).expand(len(batch), -1)
        for _ in range(MASKS):
            order = torch.randperm(patches, generator=generator).expand(len(batch), -1)
            seen, hidden = order.tensor_split([int(patches * (1 - options["mask_ratio"]))], dim=1)
            mask = Mask(torch.cat([always, seen + prefix], dim=1), hidden + prefix)
            painted = decode(heads, encode(vit, batch, mask.seen), mask)
            wanted = get_at_index(patchify(batch, side), hidden)
            varies = wanted.amax(dim=2) > wanted.amin(dim=2)
            wanted = normalize_mean_var(wanted) if options["normalise"] else wanted
            total += ((painted - wanted).square().mean(dim=2) * varies).sum(1).double()
            count += varies.sum(1)
        return np.where(count > 0, total / count.clamp_min(1), torch.nan).astype(np.float64)


def _options(model: str) -> dict[str, Any]:
    """Return the options of the method that trained a model; empty where they are not known."""
    path = Path(model) / "training.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text()).get("options", {}).get("method", {})
    return found


@lru_cache(maxsize=1)
def _load(model: str) -> tuple[Any, Any, dict[str, Any]]:
    """Load encoder, decoder and the method's options, once a worker."""
    from skysift.encoders._torchvision import ensure

    ensure()
    from safetensors.torch import load_file

    from skysift.encoders.checkpoint import load_checkpoint
    from skysift.ssl.methods.mae import MAE

    encoder = load_checkpoint(model)
    options = _options(model)
    method = MAE.model_validate(options)
    heads = method.build(encoder.module, encoder.dim)
    heads.load_state_dict(load_file(Path(model) / "head.safetensors"))
    return encoder, heads.eval(), {"mask_ratio": method.mask_ratio, "normalise": method.normalise}
