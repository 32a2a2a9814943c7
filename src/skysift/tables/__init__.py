"""Tables of features on disk: memory-mapped for reading, written in blocks that survive a kill."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "features": ["FeatureTable"],
        "votable": ["write_votable"],
        "writer": ["RowWriter"],
    },
)
