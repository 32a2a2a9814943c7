"""Pieces of screens that the browser draws: a grid of thumbnails, strips of controls, filters."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "components": ["Controls", "Filters", "Grid"],
        "items": ["button", "field", "link", "menu", "rule", "slider", "space", "text"],
    },
)
