"""Descriptions of controls for `Controls`, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Item = dict[str, Any]
Option = tuple[str, str] | tuple[str, str, str]


def menu(
    name: str,
    options: Sequence[Option],
    value: str = "",
    *,
    label: str = "",
    help: str = "",
    momentary: bool = False,
    disabled: bool = False,
) -> Item:
    """A menu of (value, text) or (value, text, group); a momentary one acts and shows its first line again."""
    known = {"kind": "menu", "name": name, "options": [list(option) for option in options], "value": value}
    return {**known, "label": label, "help": help, "momentary": momentary, "disabled": disabled}


def slider(
    name: str, value: float, low: float, high: float, step: float, *, label: str = "", help: str = "", digits: int = 0
) -> Item:
    """A slider; its value is read out with so many digits after the point."""
    known = {"kind": "slider", "name": name, "value": value, "low": low, "high": high, "step": step}
    return {**known, "label": label, "help": help, "digits": digits}


def button(name: str, text: str, *, on: bool = False, look: str = "", help: str = "", disabled: bool = False) -> Item:
    """A button; look is any of main, quiet, square, good, bad."""
    return {"kind": "button", "name": name, "text": text, "on": on, "look": look, "help": help, "disabled": disabled}


def field(
    name: str,
    *,
    value: str = "",
    hint: str = "",
    label: str = "",
    help: str = "",
    known: Sequence[str] = (),
    momentary: bool = False,
    longest: int = 200,
    width: int = 0,
    disabled: bool = False,
) -> Item:
    """A field for text; a momentary one is sent and emptied with Enter."""
    about = {"kind": "field", "name": name, "value": value, "hint": hint, "label": label, "help": help}
    more = {"known": list(known), "momentary": momentary, "longest": longest, "width": width, "disabled": disabled}
    return {**about, **more}


def text(name: str, words: str, *, help: str = "") -> Item:
    """Words."""
    return {"kind": "text", "name": name, "text": words, "help": help}


def link(name: str, words: str, href: str, *, help: str = "", file: bool = False) -> Item:
    """A link that opens in a new tab and does not say where it is followed from; or one to a file that is saved."""
    return {"kind": "link", "name": name, "text": words, "href": href, "help": help, "file": file}


def space(name: str = "space") -> Item:
    """Room that pushes what follows to the right."""
    return {"kind": "space", "name": name}


def rule(name: str) -> Item:
    """A thin line."""
    return {"kind": "rule", "name": name}
