"""The browser's side of curation: clusters as cards, and why a cutout is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param

from skysift.app.parts.components import Part

HERE = Path(__file__).parent


class TreeView(Part):
    """The clusters within a cluster, drawn by `tree.js`; messages are open, quota and value, release, why."""

    state = param.Dict(default={}, doc="crumbs, note, view, most, nodes, members.")
    look = param.String(default="", doc="Query of the pictures' addresses, without size.")

    _esm: ClassVar[Any] = HERE / "tree.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "tree.css").read_text()]


class WhyView(Part):
    """Why a cutout is kept, and the command, drawn by `why.js`; the message is look."""

    why = param.Dict(default={}, doc="id, kept, sentence, steps, place; empty for none.")
    command = param.String(default="", doc="The command that draws the same subsample.")
    look = param.String(default="", doc="Query of the pictures' addresses, without size.")

    _esm: ClassVar[Any] = HERE / "why.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "why.css").read_text()]
