"""Selecting features by a few labels, and how well rankings find what was labelled as interesting."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "evaluate": ["Crossing", "Curve", "crossing", "curve"],
        "forest": ["forest_threshold", "tried_shares"],
        "frames": ["Frames", "read_frames"],
        "importance": ["Importance", "find_importance"],
        "options": ["Selecting"],
        "work": ["Selected", "select_by_labels"],
    },
)
