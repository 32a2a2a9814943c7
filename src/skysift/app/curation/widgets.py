"""The browser's side of curation: clusters as cards, and why a cutout is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

HERE = Path(__file__).parent


class TreeView(JSComponent):
    """The clusters within a cluster, drawn by `tree.js`; messages are open, quota and value, release, why.

    Parameters
    ----------
    receive : callable
        Takes a message, a dict.
    """

    state = param.Dict(default={}, doc="crumbs, note, view, most, nodes, members.")
    look = param.String(default="", doc="Query of the pictures' addresses, without size.")

    _esm: ClassVar[Any] = HERE / "tree.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "tree.css").read_text()]

    def __init__(self, receive: Callable[[dict[str, Any]], object], **params: Any) -> None:
        self._receive = receive
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict):
            self._receive(data)


class WhyView(JSComponent):
    """Why a cutout is kept, and the command, drawn by `why.js`; the message is look.

    Parameters
    ----------
    receive : callable
        Takes a message, a dict.
    """

    why = param.Dict(default={}, doc="id, kept, sentence, steps, place; empty for none.")
    command = param.String(default="", doc="The command that draws the same subsample.")
    look = param.String(default="", doc="Query of the pictures' addresses, without size.")

    _esm: ClassVar[Any] = HERE / "why.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "why.css").read_text()]

    def __init__(self, receive: Callable[[dict[str, Any]], object], **params: Any) -> None:
        self._receive = receive
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict):
            self._receive(data)
