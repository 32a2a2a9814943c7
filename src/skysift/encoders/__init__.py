"""Encoders: backbones from timm, transformers and our own checkpoints, with their preprocessing."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_torchvision": ["ensure"],
    },
)
