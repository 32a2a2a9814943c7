"""Scores and their errors: classification, embeddings, balance of counts. Arrays in, numbers out."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "balance": ["entropy", "gini", "normalised_entropy"],
        "calibration": ["Reliability", "brier_score", "chance_error", "negative_log_likelihood", "reliability"],
        "classification": ["ClassScores", "class_scores", "confusion_matrix"],
        "embedding": ["alignment", "embedding_std", "rankme", "uniformity", "vendi_score"],
        "paired": ["PairedTest", "corrected_resampled_t", "exact_mcnemar", "holm", "signed_rank"],
        "uncertainty": ["Estimate", "bootstrap_confusions", "bootstrap_errors", "mean_and_error"],
    },
)
