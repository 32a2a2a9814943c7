"""Anomaly scores, each in a file of its own; larger is more anomalous."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "complexity": ["Complexity"],
        "extent": ["Extent"],
        "islands": ["IslandCount"],
        "isolation_forest": ["IsolationForest"],
        "knn": ["KNN"],
        "lof": ["LOF"],
        "pixel_std": ["PixelStd"],
        "reconstruction": ["Reconstruction"],
        "som": ["MapError"],
    },
)
