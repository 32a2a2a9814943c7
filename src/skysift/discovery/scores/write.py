"""Files of a ranking: the scores of all cutouts as Parquet, and the first ones as a VOTable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue, write_table
from skysift.cutouts.place import place_columns, table_field
from skysift.discovery.scores.base import Raw
from skysift.discovery.selection.work import selection_meaning
from skysift.tables.votable import write_votable

SCORES, VOTABLE = "scores.parquet", "anomalies.vot"
VOTABLE_ROWS = 10_000
MEANING = {
    "extent": "Largest ratio of an island's sum to its brightest pixel [pixel].",
    "isolation-forest": "Isolation forest: 2^(-depth / expected depth).",
    "knn": "Distance to the nearest neighbours in feature space.",
    "lof": "Local outlier factor.",
    "complexity": "Coarse-grained complexity [byte].",
    "som": "Distance to the nearest unit of a map of small images, over flips and quarter turns.",
    "reconstruction": "Mean squared error of what the decoder painted in.",
    "pixel-std": "Minus the standard deviation of the pixels.",
    "islands": "Number of islands of emission.",
}


def ranking_table(
    catalogue: Catalogue, raw: Mapping[str, Raw], normalised: Mapping[str, Raw], ensemble: Raw, rank: NDArray[np.int64]
) -> Any:
    """Return the table of scores (pyarrow.Table), in the catalogue's order.

    Parameters
    ----------
    catalogue : Catalogue
        N cutouts.
    raw, normalised : mapping of str to ndarray (N,)
        By score.
    ensemble : ndarray (N,)
        In [0, 1].
    rank : ndarray (N,)
        From 1.
    """
    fields = [table_field("cutout_id", pa.string(), "Digest of mosaic, HDU, plane and window.", "meta.id;meta.main")]
    columns: list[Any] = [catalogue.table.column("cutout_id").cast(pa.string()).combine_chunks()]
    for name in raw:
        column = name.replace("-", "_")
        said = MEANING.get(name) or selection_meaning(name)
        fields += [
            table_field(column, pa.float32(), f"Rank by {name}, 1 the most anomalous.", "stat.rank"),
            table_field(f"{column}_raw", pa.float32(), said, "stat.value"),
        ]
        columns += [pa.array(normalised[name].astype(np.float32)), pa.array(raw[name].astype(np.float32))]
    fields += [
        table_field("ensemble", pa.float32(), "Rank by the mean of all ranks, 1 the most anomalous.", "stat.rank"),
        table_field("rank", pa.int64(), "Place in the ranking, from 1.", "meta.number;stat.rank"),
    ]
    columns += [pa.array(ensemble.astype(np.float32)), pa.array(rank)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def write_ranking(catalogue: Catalogue, table: Any, folder: Path, names: Sequence[str]) -> None:
    """Write the table, and the most anomalous with their positions as a VOTable, the first one first."""
    write_table(table, folder / SCORES)
    rank = table.column("rank").to_numpy()
    first = pa.array(rank.argsort()[:VOTABLE_ROWS])
    place_fields, place = place_columns(catalogue.table.take(first))
    scores = table.take(first).drop_columns(["cutout_id"])
    both = pa.Table.from_arrays([*place, *scores.columns], schema=pa.schema([*place_fields, *scores.schema]))
    said = f"The {len(first)} most anomalous of {len(rank)} cutouts by {', '.join(names)}"
    write_votable(both, folder / VOTABLE, name="anomalies", description=said)
