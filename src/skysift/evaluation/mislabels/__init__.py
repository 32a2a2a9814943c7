"""Labels that are probably wrong, by confident learning on features."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {"confident": ["confident_joint", "label_quality"], "find": ["find_mislabels"], "folds": ["part_samples"]},
)
