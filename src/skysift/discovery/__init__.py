"""The search for the unusual: scores, similar cutouts, projections, active learning, and a ledger of ratings."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {})
