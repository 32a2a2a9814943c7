"""Self-supervised training of encoders on cutouts."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "collapse": ["alignment", "embedding_std", "rankme", "uniformity"],
        "loop": ["Recipe", "Run"],
        "methods": [
            "BYOL",
            "DINO",
            "MAE",
            "NNCLR",
            "WMSE",
            "All4One",
            "AnyMethod",
            "BarlowTwins",
            "Method",
            "MoCoV3",
            "SimCLR",
            "SimSiam",
            "SwAV",
            "VICReg",
        ],
        "stages": ["Preprocessed", "Train"],
    },
)
