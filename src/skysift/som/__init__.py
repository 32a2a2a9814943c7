"""Self-organising maps: one layer in torch, trained alone or with an encoder before it."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {})
