"""The screen "Sky"."""

from __future__ import annotations

from typing import Any, ClassVar

from skysift.app.screen import Screen


class SkyScreen(Screen):
    """Stands in until the screen is there."""

    name: ClassVar[str] = "sky"
    title: ClassVar[str] = "Sky"

    def panel(self) -> Any:
        """Return a line of text."""
        import panel as pn

        return pn.pane.HTML("<p>This screen is being built.</p>", sizing_mode="stretch_width")
