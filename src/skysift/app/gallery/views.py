"""Saved views: named states of a session, in a file of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from skysift.app.address import apply_view, to_view
from skysift.errors import RequestError
from skysift.store.digest import read_json_object, write_json

if TYPE_CHECKING:
    from skysift.app.session import Session

FILE = "views.json"
LONGEST = 60
MOST = 200


class Views:
    """The saved views of a survey, shared by all its users.

    Parameters
    ----------
    session : Session
        Whose state is saved and restored.

    Examples
    --------
    >>> views = Views(session)
    >>> views.save("bright rings")
    >>> views.open("bright rings")
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def path(self) -> Path:
        """Where they are."""
        path: Path = self.session.survey.store.root / FILE
        return path

    def names(self) -> list[str]:
        """Return the names of all views of this survey, in alphabetical order."""
        return sorted(self._mine(self._all()), key=str.lower)

    def save(self, name: str) -> None:
        """Save the state under a name; a view of that name is replaced.

        Raises
        ------
        RequestError
            If the name is empty or long, or there are too many views.
        """
        plain = " ".join(name.split())
        if not plain or len(plain) > LONGEST:
            raise RequestError(f"A view needs a name of 1 to {LONGEST} letters.")
        state = {key: value for key, value in to_view(self.session).items() if key not in ("screen", "focus")}
        with FileLock(f"{self.path}.lock"):
            everything = self._all()
            mine = self._mine(everything)
            if len(mine) >= MOST and plain not in mine:
                raise RequestError(f"There are {MOST} views already: delete one first.")
            self._write({**everything, self._key: {**mine, plain: state}})

    def open(self, name: str) -> None:
        """Take over a saved state; screen and focus stay.

        Raises
        ------
        RequestError
            If there is no such view.
        """
        mine = self._mine(self._all())
        if name not in mine:
            raise RequestError(f"There is no view {name[:LONGEST]!r} any more.")
        session = self.session
        screen, focus = session.screen, session.focus
        apply_view(session, {**mine[name], "screen": screen})
        session.focus = focus

    def delete(self, name: str) -> None:
        """Forget a view, if there is one of that name."""
        with FileLock(f"{self.path}.lock"):
            everything = self._all()
            mine = {key: value for key, value in self._mine(everything).items() if key != name}
            self._write({**everything, self._key: mine})

    @property
    def _key(self) -> str:
        return str(self.session.survey.base.id)

    def _mine(self, everything: dict[str, Any]) -> dict[str, Any]:
        found = everything.get(self._key)
        return found if isinstance(found, dict) else {}

    def _all(self) -> dict[str, Any]:
        return read_json_object(self.path, "move it away")

    def _write(self, everything: dict[str, Any]) -> None:
        write_json(self.path, everything)
