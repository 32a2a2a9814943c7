"""Encoders against each other: the same draws, protocols and label fractions for all, and paired tests."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "comparisons": ["compare"],
        "entries": ["benchmark_entries"],
        "options": ["Task"],
        "scores": ["Scores"],
        "stages": ["Benchmark"],
    },
)
