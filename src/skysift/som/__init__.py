"""Self-organising maps: grids, neighbourhoods, one layer of prototypes, and a map trained alone."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "grid": ["Grid"],
        "layer": ["SOMLayer", "squared_distances"],
        "matching": ["Match", "match", "orientation_table"],
        "neighbourhood": ["Bubble", "Exponential", "Gaussian", "Linear"],
        "training": ["SOM"],
    },
)
