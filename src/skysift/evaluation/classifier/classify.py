"""Classify the cutouts of a catalogue: logits block by block, then probabilities with positions in two tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.cutouts.catalogue import Catalogue
from skysift.cutouts.pixels import PixelSource
from skysift.cutouts.place import place_columns, table_field
from skysift.encoders.domain import outside_domain
from skysift.errors import RequestError
from skysift.evaluation.classifier.model import ClassifierRequest
from skysift.evaluation.classifier.temperature import scaled
from skysift.features.extract import BLOCK_ROWS, Options, encode_all
from skysift.tables.votable import write_votable
from skysift.tables.writer import RowWriter

if TYPE_CHECKING:
    from skysift.evaluation.stages import Classify
    from skysift.store.context import Context

PARQUET, VOTABLE = "classification.parquet", "classification.vot"
LOGITS = "logits.npy"
ROW_GROUP = 1 << 17


def classify_cutouts(stage: Classify, context: Context) -> dict[str, Any]:
    """Carry out a request; return its counts.

    Raises
    ------
    RequestError
        If there are no cutouts, or their mosaics have moved.
    SkysiftError
        If the classifier is damaged, or logits are not finite.
    """
    cutouts = context.input(stage.cutouts)
    pixels = PixelSource.open(cutouts, locate=context.locate)
    if not len(pixels):
        raise RequestError(f"{cutouts.kind} {cutouts.id[:12]} holds no cutouts; make it with other options.")
    model = context.input(stage.model)
    request = ClassifierRequest(str(model.folder))
    classifier = request.load()
    if unlike := outside_domain(model.folder, Catalogue.open(cutouts)):
        context.warn(unlike)
    path = context.scratch / LOGITS
    writer = RowWriter(path, (len(pixels), classifier.dim), "float32", BLOCK_ROWS)
    options = Options(context.device, stage.batch_size, stage.precision, "float32")
    encode_all(writer, request, classifier, pixels, context, options, label="classify")
    probabilities = scaled(np.load(path).astype(np.float64), classifier.temperature).astype(np.float32)
    table = table_of(Catalogue.open(cutouts), probabilities, classifier.classes)
    pq.write_table(
        table,
        context.folder / PARQUET,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=["mosaic", "class"],
    )
    said = f"Classes of the cutouts of {cutouts.kind} {cutouts.id} by classifier {stage.model}"
    write_votable(table, context.folder / VOTABLE, name="classification", description=said)
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=classifier.dim)
    expected = probabilities.sum(axis=0, dtype=np.float64)
    return {
        "rows": len(pixels),
        "predicted": dict(zip(classifier.classes, predicted.tolist(), strict=True)),
        "expected": {name: round(value, 1) for name, value in zip(classifier.classes, expected.tolist(), strict=True)},
    }


def table_of(catalogue: Catalogue, probabilities: NDArray[np.float32], classes: tuple[str, ...]) -> Any:
    """Put positions, the likeliest class and all probabilities side by side.

    Parameters
    ----------
    catalogue : Catalogue
        N cutouts.
    probabilities : ndarray of float32, shape (N, k)
        Of each class.
    classes : tuple of str
        The k names.

    Returns
    -------
    pyarrow.Table
        The catalogue's columns of place, then `class`, `probability`, and `p_NAME` of each class.
    """
    fields, columns = place_columns(catalogue.table)
    best = probabilities.argmax(axis=1)
    names = pa.DictionaryArray.from_arrays(pa.array(best, pa.int32()), pa.array(classes, pa.string()))
    fields += [
        table_field("class", names.type, "Likeliest class.", "meta.code.class"),
        table_field("probability", pa.float32(), "Calibrated probability of that class.", "stat.probability"),
        *(
            table_field(f"p_{name}", pa.float32(), f"Calibrated probability of {name}.", "stat.probability")
            for name in classes
        ),
    ]
    columns += [names, pa.array(probabilities[np.arange(len(best)), best])]
    columns += [pa.array(np.ascontiguousarray(column)) for column in probabilities.T]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
