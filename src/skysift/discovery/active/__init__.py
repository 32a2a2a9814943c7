"""Active learning: what a person rated decides what is shown next."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "learner": ["ACQUISITIONS", "Learner"],
        "teaching": ["Lessons", "lessons"],
    },
)
