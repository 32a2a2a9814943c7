"""Features: what an encoder makes of every cutout of a catalogue."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "extract": ["extract_rows"],
        "specification": ["split_encoder"],
        "stages": ["Features"],
    },
)
