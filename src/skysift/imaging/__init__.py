"""Preprocessing and augmentation: tensors in, tensors out."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "augmentation": ["augment", "two_views"],
        "augment_options": ["Augment"],
        "options": ["Asinh", "Log", "MinMax", "Power", "Preprocess", "SigmaClip", "Sinh", "Sqrt", "ZScale"],
        "pipeline": ["preprocess"],
    },
)
