"""Sections of the report, one a file: each has `make(family)`, which returns None where there is nothing to show."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {})
