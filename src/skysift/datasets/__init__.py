"""Labelled sets of every common form, read as catalogues of cutouts."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "find": ["find_labelled_set"],
        "formats": ["FORMATS", "read_labelled"],
        "labelled": ["LabelledSet", "Request"],
        "labels": ["LabelMap"],
        "names": ["KNOWN", "LABEL_MAPS"],
        "stages": ["Dataset"],
    },
)
