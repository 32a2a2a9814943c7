"""The command line."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"program": ["main"]})
