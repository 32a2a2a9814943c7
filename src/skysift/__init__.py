"""skysift: from radio survey mosaics to curated training sets, encoders and discoveries."""

from skysift._lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(__name__, {"store": ["Artifact", "Stage", "Store"], "engine": ["Engine"]})
