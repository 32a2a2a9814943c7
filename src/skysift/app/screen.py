"""What a screen of the app is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from skysift.app.session import Session


class Screen:
    """One of the app's screens: built on the first visit, kept afterwards.

    A subclass sets `name` (in addresses) and `title` (in the navigation) and writes `panel`. It reacts to changes by
    `session.param.watch(...)`, best only while `session.screen == self.name`, catching up in `shown`.

    Parameters
    ----------
    session : Session
        The state of one browser.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, session: Session) -> None:
        self.session = session

    def panel(self) -> Any:
        """Return what is shown, a `panel.viewable.Viewable`; called once."""
        raise NotImplementedError

    def keys(self) -> dict[str, Callable[[], object]]:
        """Return what keys do while this screen is shown: key (as in `KeyboardEvent.key`) -> function.

        The first line of a function's docstring stands in the help overlay.
        """
        return {}

    def visited(self) -> None:
        """Do what is needed whenever the screen comes to the front."""
