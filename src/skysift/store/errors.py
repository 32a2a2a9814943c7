"""The errors under the name that stages import them by."""

from skysift.errors import RequestError, SkysiftError, SkysiftWarning, Stopped

__all__ = ["RequestError", "SkysiftError", "SkysiftWarning", "Stopped"]
