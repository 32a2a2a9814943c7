"""The browser's side of the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param

from skysift.app.parts.components import Part

HERE = Path(__file__).parent
WIDER = 4
"""How many times wider than the candidate the picture of its surroundings is."""


class Cards(Part):
    """Candidates one by one, drawn by `queue.js`; messages are what was done: rate, step, undo, open."""

    state = param.Dict(default={}, doc="seq: last message heard; line: candidates; place: which of them is shown.")
    look = param.String(default="", doc="Query of the pictures' addresses, without size.")
    active = param.Boolean(default=False, doc="Whether keys are for the queue.")
    wider = param.Integer(default=WIDER, doc="Width of the surroundings, in candidates.")

    _esm: ClassVar[Any] = HERE / "queue.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "queue.css").read_text()]
