"""Training one linear layer on an encoder, with the encoder frozen or along with it."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__, {"options": ["FineTuning"], "tune": ["FineTuned", "fine_tune"], "symmetry": ["positions", "turn"]}
)
