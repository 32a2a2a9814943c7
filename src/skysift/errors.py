"""The errors that skysift shows to people: one sentence that says what, where and what to do."""

from __future__ import annotations

CARRY_ON = "give the same command again and it carries on."


class SkysiftError(Exception):
    """A failure while working; the command line exits with 1."""

    exit_code = 1


class RequestError(SkysiftError):
    """A request that cannot be carried out as it was put; the command line exits with 2."""

    exit_code = 2


class Stopped(SkysiftError):
    """A clean stop on SIGTERM or SIGINT; the same command carries on from what is there."""

    exit_code = 130


class SkysiftWarning(UserWarning):
    """Something a user should know that does not stop the work."""
