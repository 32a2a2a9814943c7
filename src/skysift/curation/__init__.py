"""Curation: clustering features in a tree, and choosing a balanced set from it without labels."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "hierarchy": ["HierarchicalKMeans"],
        "kmeans": ["KMeans", "assign"],
        "sampling": [
            "Closest",
            "Facility",
            "Flat",
            "Furthest",
            "Hierarchical",
            "Pool",
            "Random",
            "Uniform",
            "water_fill",
        ],
        "stages": ["Assign", "Cluster", "Subsample"],
        "transform": ["Transform"],
        "tree": ["Tree"],
    },
)
