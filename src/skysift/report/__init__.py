"""One self-contained HTML page about an artifact, its ancestors and what was made from it."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"build": ["build_report"], "family": ["Family"]})
