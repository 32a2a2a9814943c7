"""Encoders for people without skysift: weights of timm or transformers, ONNX, and a model card."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "folder": ["write_release"],
        "onnx": ["check_onnx_installed", "write_onnx"],
        "readme": ["Probe", "Provenance", "release_card"],
        "weights": ["write_weights"],
        "words": ["describe_preprocessing", "preprocessing_in_words"],
    },
)
