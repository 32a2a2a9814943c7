"""What points may be coloured by, and the controls for it that map and sky share."""

from __future__ import annotations

from typing import Any

from skysift.app.columns import Columns
from skysift.app.parts.items import Item, menu
from skysift.app.points.colouring import Colouring, Density, Number, by_column
from skysift.app.survey import Survey

DENSITY = ""
PREFERRED = ("ensemble", "snr")  # the first of these, by the end of its name, colours at first


def colour_options(columns: Columns) -> list[tuple[str, str, str]]:
    """Return (value, text, group) of all columns for a menu; those of an artifact or of ratings form a group."""
    options = [(DENSITY, "density", "Points")]
    for name in columns:
        group, found, text = name.partition(": ")
        options.append((name, text if found else name, group[:1].upper() + group[1:] if found else "Catalogue"))
    return options


def first_choice(columns: Columns) -> str:
    """Return the column that colours at first: an ensemble of anomaly scores, else the signal-to-noise, else none."""
    for ending in PREFERRED:
        for name in columns:
            if name == ending or name.endswith(f": {ending}"):
                return name
    return DENSITY


class ColourChoice:
    """Which column colours the points, and how.

    Parameters
    ----------
    survey : Survey
        Whose columns there are.
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.column = first_choice(survey.columns)
        self.scaling: Any = None
        self._kept: tuple[Any, Colouring] | None = None

    def colouring(self) -> Colouring:
        """Return the colours of the points, found once for each choice.

        Raises
        ------
        RequestError
            There is no such column any more.
        """
        columns = self.survey.columns
        if self.column == DENSITY:
            return Density()
        clusters = self.column.partition(": level ")[0] in self.survey.clusters
        # ratings are new arrays whenever somebody has rated
        key = (self.column, self.scaling, id(columns[self.column]))
        if self._kept is None or self._kept[0] != key:
            self._kept = key, by_column(columns, self.column, clusters=clusters, scaling=self.scaling)
        return self._kept[1]

    def items(self) -> list[Item]:
        """Return the controls: the column and, for numbers, the scale."""
        colouring = self.colouring()
        known = colour_options(self.survey.columns)
        options = [menu("colour", known, self.column, label="Colour", help="What colours the points")]
        if isinstance(colouring, Number):
            scales = [("linear", "linear"), ("log", "log")]
            options.append(menu("scaling", scales, colouring.scaling, help="Scale of the colours"))
        return options

    def take(self, name: str, value: Any) -> bool:
        """Take a message of one of the controls; return whether it was for them.

        A column that is not there is left alone.
        """
        if name == "colour":
            if value == DENSITY or value in self.survey.columns:
                self.column, self.scaling = str(value), None
            return True
        if name == "scaling":
            if value in ("linear", "log"):
                self.scaling = value
            return True
        return False
