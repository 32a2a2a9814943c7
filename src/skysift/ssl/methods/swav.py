"""SwAV: predict the cluster of one view from the other, clusters even (Caron et al. 2020, arXiv:2006.09882)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from skysift.ssl.methods.base import Method, Step, full_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from skysift.ssl.network import Network


class SwAV(Method):
    """Options of SwAV without small crops; the defaults are solo-learn's, which Cecconello et al. 2024 used.

    solo-learn counts epochs where we take shares of the run: 15 epochs to the queue and 1 with fixed prototypes are
    those of a run of 100.
    """

    name: Literal["swav"] = "swav"
    prototypes: int = Field(3000, ge=2, description="Number of clusters.")
    temperature: PositiveFloat = Field(0.1, description="Divides the scores in the prediction.")
    epsilon: float = Field(
        0.05, ge=0.02, description="Divides the scores in the assignment: smoothness of the clusters."
    )
    iterations: PositiveInt = Field(3, description="Sinkhorn-Knopp iterations that fill the clusters evenly.")
    hidden_dim: PositiveInt = Field(2048, description="Width of the projector's hidden layer.")
    projection_dim: PositiveInt = Field(128, description="Width of projections and prototypes.")
    queue_size: PositiveInt = Field(3840, description="Earlier images that are assigned with each batch.")
    queue_start: float = Field(
        0.15, ge=0, le=1, description="Share of the run before they take part; 1: they never do."
    )
    freeze_prototypes: float = Field(0.01, ge=0, le=1, description="Share of the run while prototypes stay fixed.")

    def build(self, backbone: nn.Module, dim: int) -> nn.ModuleDict:  # noqa: ARG002
        """Return projector, prototypes (unit vectors) and the queue of both views' projections."""
        from skysift.encoders._torchvision import ensure

        ensure()
        import torch
        from lightly.models.modules.heads import SwaVProjectionHead
        from lightly.models.utils import normalize_weight
        from torch import nn

        from skysift.ssl.queue import Queue

        width = self.projection_dim
        prototypes = nn.Linear(width, self.prototypes, bias=False)
        normalize_weight(prototypes.weight)
        heads = nn.ModuleDict({"projector": SwaVProjectionHead(dim, self.hidden_dim, width), "prototypes": prototypes})
        heads["teacher_queues"] = queues = nn.ModuleList(Queue(self.queue_size, width) for _ in range(2))
        for queue in queues:
            queue.get_buffer("rows").zero_()
        queues.register_buffer("started", torch.zeros(()))
        return heads

    def step(self, network: Network, views: list[Tensor]) -> Step:
        """Compute the loss of the two views (B, C, S, S), which pass through the network together."""
        import torch
        from torch.nn.functional import normalize

        from skysift.ssl.collapse import expected_prototypes

        heads = network.heads
        embeddings = network.backbone(torch.cat(views))
        both = normalize(heads["projector"](embeddings).float(), dim=1)
        prototypes = heads.get_parameter("prototypes.weight")
        queues: Any = heads["teacher_queues"]
        loss = swapped_prediction(
            both,
            prototypes,
            torch.stack([queue.rows for queue in queues]),
            queues.started,
            temperature=self.temperature,
            epsilon=self.epsilon,
            iterations=self.iterations,
        )
        for queue, rows in zip(queues, both.chunk(2), strict=True):
            queue.push(rows)
        points = expected_prototypes(both @ prototypes.T, prototypes, self.temperature)
        first, second = points.chunk(2)
        return Step(loss, embeddings[: len(first)], (first, second))

    def after_backward(self, network: Network, done: int, total: int) -> None:
        """Keep the prototypes in place at first."""
        if done <= self.freeze_prototypes * total:
            network.heads.get_parameter("prototypes.weight").grad = None

    def after_step(self, network: Network, done: int, total: int) -> None:
        """Bring the prototypes back to unit length; let the queue take part in time."""
        from skysift.encoders._torchvision import ensure

        ensure()
        from lightly.models.utils import normalize_weight

        normalize_weight(network.heads.get_parameter("prototypes.weight"))
        network.heads["teacher_queues"].get_buffer("started").fill_(done >= self.queue_start * total)


@full_precision
def swapped_prediction(
    both: Tensor,
    prototypes: Tensor,
    earlier: Tensor,
    weight: Tensor,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
) -> Tensor:
    """Return the cross entropy of each view's prediction with the other's assignment (equations 1 and 2).

    Parameters
    ----------
    both : Tensor
        Projections (2 B, d) of unit length: those of the first view, then those of the second.
    prototypes : Tensor
        (K, d), of unit length.
    earlier : Tensor
        (2, Q, d): projections of the views of earlier images of all processes; zero where there are none yet.
    weight : Tensor
        Scalar: weight of these images in the assignment, whose clusters are filled by the images of all processes.
    temperature, epsilon : float
        Divide the scores in prediction and assignment.
    iterations : int
        Of Sinkhorn-Knopp.

    Returns
    -------
    Tensor
        Scalar, the mean over this process's images.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from skysift.ssl.distributed import gather_rows, share_of_batch

    views = both.chunk(2)
    codes = []
    with torch.no_grad():
        for rows, old in zip(views, earlier, strict=True):
            batch = gather_rows(rows.detach())
            present = (old.square().sum(dim=1) > 0).to(weight.dtype)
            weights = torch.cat([torch.ones_like(batch[:, 0]), weight * present])
            scores = torch.cat([batch, old]) @ prototypes.T
            codes.append(sinkhorn(scores, weights, epsilon, iterations)[share_of_batch(len(batch))])
    losses = [cross_entropy(views[i] @ prototypes.T / temperature, codes[1 - i]) for i in range(2)]
    return (losses[0] + losses[1]) / 2


def sinkhorn(scores: Tensor, weights: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Assign rows to clusters softly, so that all clusters get nearly the same (equations 3 to 5 of the paper).

    As lightly's, but for the weights: they let a queue take part from some step on without a decision by the host.

    Parameters
    ----------
    scores : Tensor
        (N, K).
    weights : Tensor
        (N,): share of each row in filling the clusters; at least one is not 0.
    epsilon : float
        Divides the scores.
    iterations : int
        How often clusters, then rows, are brought to the sums that they should have.

    Returns
    -------
    Tensor
        (N, K); each row sums to its weight.
    """
    import torch

    least = torch.finfo(scores.dtype).tiny
    plan = torch.exp(scores / epsilon) * weights[:, None]
    plan /= plan.sum()
    for _ in range(iterations):
        plan /= plan.sum(dim=0)
        plan *= weights[:, None] / plan.sum(dim=1, keepdim=True).clamp_min(least)
    return plan
