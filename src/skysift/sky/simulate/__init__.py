"""A simulator of radio surveys: believable mosaics with known truth, from a seed."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "beam": ["Beam"],
        "config": ["PRESETS", "SurveyConfig"],
        "counts": ["differential_counts", "expected_counts"],
        "labelled": ["RIGGI_LABELS", "WU_CLASSES", "LabelledFrames", "riggi_frames", "wu_frames"],
        "labels": ["label_windows"],
        "mosaic": ["SimulatedMosaic", "seams_of", "simulate_mosaic"],
        "survey": ["Survey", "open_survey", "simulate"],
        "truth": ["TRUTH_SCHEMA"],
    },
)
