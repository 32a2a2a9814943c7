"""How good an encoder is on labelled cutouts, with draws that share no pixel; classifiers and wrong labels."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "evaluation": ["Evaluation", "evaluate"],
        "labels": ["ClassSet", "class_set"],
        "classifier": ["Classifier", "load_classifier"],
        "options": ["Splitting"],
        "protocols.base": ["Outcome", "Pictures", "Problem", "Protocol"],
        "protocols.finetune": ["FineTune"],
        "protocols.knn": ["KNN"],
        "protocols.linear": ["Linear"],
        "samples": ["Samples", "load_samples"],
        "splits": ["Fold", "Folds", "make_folds"],
        "stages": ["Classify", "Evaluate", "Mislabels", "TrainClassifier"],
        "windows": ["Windows", "overlapping"],
    },
)
