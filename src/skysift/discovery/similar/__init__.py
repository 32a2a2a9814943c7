"""Similar cutouts: exact search up to a million rows, an inverted file above."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "index": ["EXACT_ROWS", "Index"],
        "stage": ["SearchIndex"],
    },
)
