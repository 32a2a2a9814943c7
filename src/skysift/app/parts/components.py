"""The browser's side of grids, controls and filters, each from an ESM file and a style sheet beside this one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

HERE = Path(__file__).parent


class Part(JSComponent):
    """A component whose messages a function takes.

    Parameters
    ----------
    receive : callable
        Takes a message of the browser, a dict.
    """

    __abstract = True

    def __init__(self, receive: Callable[[dict[str, Any]], object], **params: Any) -> None:
        self._receive = receive
        super().__init__(**params)

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict):
            self._receive(data)


class Grid(Part):
    """Thumbnails in rows; only those in view are in the page, and what they show is asked for when it is needed."""

    total = param.Integer(default=0, doc="Cutouts in the grid.")
    size = param.Integer(default=128, doc="Least side of a thumbnail [pixel of the screen].")
    look = param.String(default="", doc="Query of the thumbnails' addresses, without size.")
    generation = param.Integer(default=0, doc="Counts up when other cutouts, or another order, are in the grid.")
    refreshed = param.Integer(default=0, doc="Counts up when what is said of the cutouts has changed.")
    cursor = param.Integer(default=-1, doc="Place that the keyboard is at.")
    columns = param.Integer(default=0, doc="Thumbnails in a row of a grid that is as high as it needs; 0 = by size.")
    captions = param.Boolean(default=True, doc="Whether a line of text stands under each.")
    ticks = param.Boolean(default=True, doc="Whether boxes to mark them appear under the mouse.")
    empty = param.String(default="No cutout passes the filters.", doc="What an empty grid says.")

    _esm: ClassVar[Any] = HERE / "grid.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "grid.css").read_text()]

    def send_cells(self, first: int, cells: list[dict[str, Any]]) -> None:
        """Say what the places from `first` on show."""
        self._send_msg({"generation": self.generation, "first": first, "cells": cells})


class Controls(Part):
    """A strip of controls that `skysift.app.parts.items` describes; messages are {name, value}."""

    items = param.List(default=[], doc="What is in the strip.")
    testid = param.String(default="controls", doc="Name of the strip in `data-testid`.")
    measured = param.Boolean(default=False, doc="Whether its width is told, as {name: width, value: pixels}.")

    _esm: ClassVar[Any] = HERE / "controls.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "controls.css").read_text()]

    def save(self, name: str, data: bytes, kind: str = "application/octet-stream") -> None:
        """Let the browser save a file."""
        self._send_msg({"file": {"name": name, "type": kind, "data": base64.b64encode(data).decode()}})


class Filters(Part):
    """Filters by histograms and lists of words."""

    columns = param.List(default=[], doc="(name, group) of the columns to choose from.")
    cards = param.List(default=[], doc="The filters shown.")
    selected = param.Integer(default=0, doc="Cutouts that are selected, 0 = all.")

    _esm: ClassVar[Any] = HERE / "filters.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "filters.css").read_text()]
