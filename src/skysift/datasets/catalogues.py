"""Catalogues of ours as labelled sets: with the labels that they have, or with those of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skysift.cutouts.catalogue import CATALOGUE, MOSAICS, Catalogue, with_labels
from skysift.datasets.table import read_cutout_labels
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.datasets.labelled import Request

__all__ = ["is_catalogue", "relabel"]


def is_catalogue(path: Path) -> bool:
    """Tell whether a path is the folder of an artifact with a catalogue."""
    return (path / CATALOGUE).is_file() and (path / MOSAICS).is_file()


def relabel(catalogue: Catalogue, table: str | None, request: Request) -> Catalogue:
    """Return the labelled rows of a catalogue.

    Parameters
    ----------
    catalogue : Catalogue
        Cutouts, perhaps with labels.
    table : str or None
        Table with `cutout_id` and labels that take the place of the catalogue's own.
    request : Request
        How to read the table.

    Raises
    ------
    RequestError
        If the table has no such columns, or there is no label.
    """
    labels = catalogue.labels
    if table is not None:
        given = read_cutout_labels(Path(table), request)
        if given is None:
            raise RequestError(f"{table} has no columns cutout_id and label, which the cutouts of a catalogue need.")
        labels = [given.get(id_, []) for id_ in catalogue.column("cutout_id")]
    rows = [i for i, found in enumerate(labels) if found]
    if not rows:
        raise RequestError("None of the cutouts has a label: give a table with cutout_id and label, or another set.")
    chosen = catalogue.select(rows)
    return Catalogue(with_labels(chosen.table, [labels[i] for i in rows]), chosen.mosaics)
