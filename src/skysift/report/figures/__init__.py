"""Figures of the report, one a file: arrays in, a matplotlib figure out."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "class_scores": ["draw_class_scores"],
        "cluster_sizes": ["draw_cluster_sizes"],
        "confusion": ["draw_confusion"],
        "contact_sheet": ["draw_contact_sheet"],
        "differences": ["Difference", "draw_differences"],
        "embedding_map": ["draw_embedding_map"],
        "forest_scan": ["draw_forest_scan"],
        "gallery": ["draw_gallery"],
        "label_fraction": ["draw_label_fraction"],
        "learning_curves": ["draw_learning_curves"],
        "reliability": ["draw_reliability"],
        "score_histograms": ["LabelHistogram", "draw_score_histograms"],
        "selection_histograms": ["draw_selection_histograms"],
        "settings_sweep": ["draw_settings_sweep"],
        "sky_map": ["draw_sky_map"],
        "threshold_curves": ["ThresholdCurves", "draw_threshold_curves"],
        "training_curves": ["draw_training_curves"],
    },
)
