"""The screens of the app, one module each."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "gallery": ["GalleryScreen"],
        "detail": ["DetailScreen"],
        "map": ["MapScreen"],
        "sky": ["SkyScreen"],
        "curation": ["CurationScreen"],
        "queue": ["QueueScreen"],
        "runs": ["RunsScreen"],
    },
)
