"""What the page fetches beside its websocket: thumbnails, files, ratings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.web import StaticFileHandler

if TYPE_CHECKING:
    from skysift.app.survey import Survey

ASSETS = Path(__file__).parent / "assets"


def patterns(survey: Survey) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the routes, without prefix."""
    return [(r"/assets/(.*)", StaticFileHandler, {"path": str(ASSETS)})]
