"""Which cutouts a request keeps of a pool, and what quality weighs; torch is imported for k-centre alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.curation.quotas import read_quotas
from skysift.curation.sampling.flat import Flat
from skysift.curation.sampling.hierarchical import Hierarchical
from skysift.curation.sampling.leaves import Closest, Furthest, Leaf, Random
from skysift.curation.sampling.pool import Chosen, Pool, Rule
from skysift.curation.sampling.uniform import Uniform
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.curation.stages import Subsample
    from skysift.cutouts.catalogue import Catalogue

LEAVES: dict[str, type[Leaf]] = {"random": Random, "closest": Closest, "furthest": Furthest}


def choose(stage: Subsample, pool: Pool, device: str = "cpu", metric: str = "l2") -> Chosen:
    """Return what a request keeps of a pool; the same for equal requests."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([stage.seed, 0x5AB5])))
    return make_rule(stage, device, metric).select(pool, stage.target_size, rng)


def make_rule(stage: Subsample, device: str, metric: str) -> Rule:
    """Return the rule that the stage asks for."""
    if stage.rule == "facility":
        from skysift.curation.sampling.facility import Facility

        return Facility(device, unit=metric == "cosine")
    leaf = LEAVES[stage.leaf]()
    rules: dict[str, Rule] = {
        "hierarchical": Hierarchical(leaf, read_quotas(stage.quotas)),
        "flat": Flat(leaf),
        "uniform": Uniform(),
    }
    return rules[stage.rule]


def quality(catalogue: Catalogue, *, weigh_valid: bool, artefact_column: str | None) -> NDArray[np.float64]:
    """Return the weight (N,) of each cutout: valid fraction times 1 - artefact score; unknown values count as good.

    Raises
    ------
    RequestError
        If the catalogue has no such column, or it holds anything but scores from 0 to 1.
    """
    weights = np.ones(len(catalogue))
    if weigh_valid:
        valid = catalogue.column("valid_fraction").astype(np.float64)
        weights *= np.where(np.isnan(valid), 1.0, valid)
    if artefact_column is not None:
        if artefact_column not in catalogue.table.column_names:
            raise RequestError(
                f"the catalogue has no column {artefact_column}; it has {', '.join(catalogue.table.column_names)}"
            )
        kind = catalogue.table.schema.field(artefact_column).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise RequestError(f"column {artefact_column} holds no numbers but {kind}; name a score from 0 to 1")
        score = catalogue.column(artefact_column).astype(np.float64)
        score = np.where(np.isnan(score), 0.0, score)
        if score.min() < 0 or score.max() > 1:
            raise RequestError(
                f"column {artefact_column} goes from {score.min():g} to {score.max():g}; "
                "an artefact score is from 0 to 1"
            )
        weights *= 1.0 - score
    return weights
