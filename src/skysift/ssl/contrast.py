"""The one-way contrastive loss that NNCLR, MoCo v3 and All4One share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from skysift.ssl.distributed import gather_with_gradient, rank


def info_nce(anchors: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of finding each anchor's partner among the candidates of the batch.

    Dwibedi et al. 2021 (arXiv:2104.14548), equation 3; Chen et al. 2021 (arXiv:2104.02057), equation 1.

    Parameters
    ----------
    anchors, candidates : Tensor
        (B, d), of any length; row i of one belongs to row i of the other. With several processes the candidates
        come from all of them.
    temperature : float
        Divides the cosine similarities.

    Returns
    -------
    Tensor
        Scalar, the mean over this process's anchors; in float32 at least, also below autocast.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        wide = torch.promote_types(anchors.dtype, torch.float32)
        everyone = gather_with_gradient(normalize(candidates.to(wide), dim=1))
        similarity = normalize(anchors.to(wide), dim=1) @ everyone.T / temperature
        own = torch.arange(len(anchors), device=anchors.device) + rank() * len(anchors)
        return cross_entropy(similarity, own)
