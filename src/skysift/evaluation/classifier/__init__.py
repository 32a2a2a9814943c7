"""Classifiers: an encoder with one layer and a temperature, trained on labels and put to use."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "classify": ["classify_cutouts"],
        "model": ["Classifier", "load_classifier", "save_classifier"],
        "temperature": ["fit_temperature"],
        "train": ["train_classifier"],
    },
)
