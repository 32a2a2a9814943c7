"""The commands that make it again."""

from __future__ import annotations

from skysift.report.blocks import Block, Code, Note, Section
from skysift.report.commands import script
from skysift.report.family import Family


def make(family: Family) -> Section:
    """List the commands of the focus and all its ancestors, in order."""
    blocks: list[Block] = [
        Note(
            "These commands make the artifact of this report from its source files; the same request gives the same "
            "id, on any machine. Options that are not named have their defaults."
        ),
        Code(script(family)),
    ]
    return Section("reproduce", "How to reproduce it", blocks)
