"""Is the network still telling images apart? Four numbers, and a watch that ends a run that no longer is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from skysift.errors import SkysiftError

CHECK_EVERY = 25
"""Steps between two looks at the spread; part of the result, as it decides when a run fails."""
PATIENCE = 4
"""Looks in a row that must find a collapse."""
LEAST_STD = 0.01
"""Spread below which all images share one vector: 1 is an isotropic cloud, a fresh ResNet has 0.1 to 0.8."""


def embedding_std(rows: Tensor) -> Tensor:
    """Return the spread of directions: 1 for an isotropic cloud, 0 for one vector.

    Parameters
    ----------
    rows : Tensor
        (n, D), n > 1.

    Returns
    -------
    Tensor
        Scalar: standard deviation of the unit vectors, averaged over dimensions, times sqrt(D)
        (Chen & He 2021, arXiv:2011.10566, section 4.1).
    """
    return normalize(rows.float(), dim=1).std(dim=0).mean() * rows.shape[1] ** 0.5


def rankme(rows: Tensor, eps: float = 1e-7) -> Tensor:
    """Return the effective rank: exp of the entropy of the singular values of (n, D) rows.

    Garrido et al. 2023, arXiv:2210.02885, equation 2. Between 1 and min(n, D).
    """
    values = torch.linalg.svdvals(rows.float())
    share = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny) + eps
    return torch.exp(-(share * share.log()).sum())


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared distance of the unit vectors of two views (n, d): 0 when views agree.

    Wang & Isola 2020, arXiv:2005.10242, equation 8 with alpha = 2.
    """
    return (normalize(first.float(), dim=1) - normalize(second.float(), dim=1)).square().sum(dim=1).mean()


def uniformity(rows: Tensor, t: float = 2.0) -> Tensor:
    """Return the logarithm of the mean Gaussian potential between unit vectors (n, d): 0 when all are one.

    Wang & Isola 2020, arXiv:2005.10242, equation 9; about -2 t for a sphere of many dimensions.
    """
    return torch.pdist(normalize(rows.float(), dim=1)).square().mul(-t).exp().mean().log()


def expected_prototypes(scores: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Return where in the space of the prototypes each image's soft assignment lies.

    Projections may differ while all images are assigned alike, to one prototype or evenly to all; these points then
    coincide, as they do when the projections themselves are all alike.

    Parameters
    ----------
    scores : Tensor
        (B, K), one for each prototype.
    prototypes : Tensor
        (K, d).
    temperature : float
        Of the softmax over the K scores.

    Returns
    -------
    Tensor
        (B, d), without gradient: the prototypes' means, weighted by the softmax.
    """
    with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
        return (scores.to(prototypes.dtype) / temperature).softmax(dim=1) @ prototypes


class CollapseWatch:
    """Counts how many looks in a row have found embeddings or projections collapsed.

    Attributes
    ----------
    below : int
        That number; part of a checkpoint.
    least : float
        Spread that both must have.
    """

    def __init__(self, below: int = 0, least: float = LEAST_STD) -> None:
        self.below, self.least = below, least

    def look(self, embedding_std: float, projection_std: float, step: int) -> None:
        """Take note of the spread of both.

        Raises
        ------
        SkysiftError
            After `PATIENCE` looks in a row that found either below `least`.
        """
        self.below = self.below + 1 if min(embedding_std, projection_std) < self.least else 0
        if self.below >= PATIENCE:
            raise SkysiftError(
                f"training collapsed at step {step}: all images get nearly the same vector (spread of embeddings "
                f"{embedding_std:.1e}, of projections {projection_std:.1e}, least {self.least}); lower the learning "
                "rate, enlarge the batch, or check with `skysift report` that the cutouts are not all alike"
            )


def check_loss(loss: float, step: int, remedy: str | None = None) -> None:
    """Raise SkysiftError when a loss is not a finite number; the remedy is the method's own, if it has one."""
    if not -torch.inf < loss < torch.inf:
        raise SkysiftError(
            f"the loss became {loss} at or shortly before step {step}; "
            + (f"{remedy}, " if remedy else "")
            + "lower the learning rate or train in float32 (--precision 32-true)"
        )
