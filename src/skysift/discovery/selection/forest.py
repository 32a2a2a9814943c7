"""Settings of Isolation Forests that were tried, and what each calls an outlier (Riggi et al. 2024, section 5)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Share = Literal["auto"] | float
"""Cutouts that a tree is shown: 256, or a share of all."""

CONTAMINATIONS: tuple[Share, ...] = ("auto", 0.001, 0.01, 0.1)
SHARES: tuple[Share, ...] = ("auto", 0.001, 0.01, 0.02, 0.05, *(round(0.1 * i, 1) for i in range(1, 11)))
LEAST_SAMPLES = 8
AUTO_THRESHOLD = 0.5


def tried_shares(rows: int) -> tuple[Share, ...]:
    """Return the shares of Riggi et al. (2024) with which a tree is shown at least 8 of so many rows."""
    return tuple(share for share in SHARES if share == "auto" or share * rows >= LEAST_SAMPLES)


def forest_threshold(scores: NDArray[np.float64], contamination: Share) -> float:
    """Return the score from which on a forest calls a cutout an outlier.

    The trees do not depend on it, so that a scan of it takes no other forest. scikit-learn's outliers lie above
    1/2 (`auto`), or above the quantile that leaves the share `contamination`; the number returned is the next larger
    one, to be compared with >=.
    """
    limit = AUTO_THRESHOLD if contamination == "auto" else float(-np.percentile(-scores, 100.0 * contamination))
    return float(np.nextafter(limit, np.inf))
