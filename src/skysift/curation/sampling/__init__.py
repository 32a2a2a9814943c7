"""Rules that choose which cutouts to keep: one file each, all with the same call."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "facility": ["Facility"],
        "flat": ["Flat"],
        "hierarchical": ["Hierarchical"],
        "leaves": ["Closest", "Furthest", "Leaf", "Random"],
        "pool": ["Chosen", "Pool", "Rule"],
        "uniform": ["Uniform"],
        "waterfill": ["water_fill"],
    },
)
