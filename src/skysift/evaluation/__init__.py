"""How good an encoder is: kNN and linear probe on labelled cutouts, with draws and splits that share no pixel."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "evaluation": ["Evaluation", "evaluate"],
        "labels": ["ClassSet", "class_set"],
        "options": ["Splitting"],
        "protocols.base": ["Outcome", "Problem", "Protocol"],
        "protocols.knn": ["KNN"],
        "protocols.linear": ["Linear"],
        "samples": ["Samples", "load_samples"],
        "splits": ["Fold", "Folds", "make_folds"],
        "stages": ["Evaluate"],
        "windows": ["Windows", "overlapping"],
    },
)
