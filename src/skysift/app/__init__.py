"""The web app, in which astronomers look at a survey, rate and teach."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__, {"jupyter": ["show"], "session": ["Session"], "survey": ["Survey"], "screen": ["Screen"]}
)
