"""Protocols of evaluation, one a file: each takes a problem and gives a prediction for every test sample."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ["Outcome", "Pictures", "Problem", "Protocol"],
        "finetune": ["FineTune"],
        "knn": ["KNN"],
        "linear": ["Linear"],
        "zeroshot": ["Texts", "ZeroShot"],
    },
)
