"""The screen "Detail"."""

from __future__ import annotations

from typing import Any, ClassVar

from skysift.app.screen import Screen


class DetailScreen(Screen):
    """Stands in until the screen is there."""

    name: ClassVar[str] = "detail"
    title: ClassVar[str] = "Detail"

    def panel(self) -> Any:
        """Return a line of text."""
        import panel as pn

        return pn.pane.HTML("<p>This screen is being built.</p>", sizing_mode="stretch_width")
