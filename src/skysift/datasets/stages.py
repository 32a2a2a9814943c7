"""The stage that makes a catalogue of a labelled set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from skysift.datasets.find import find_labelled_set
from skysift.datasets.labels import read_label_map
from skysift.errors import RequestError
from skysift.store.fields import Input, Source
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.datasets.labelled import Request
    from skysift.store.context import Context

CATALOGUES = ("cutouts", "merge", "subsample", "dataset")


def _find(value: Any) -> Any:
    return find_labelled_set(value) if isinstance(value, str) else value


class Dataset(Stage):
    """Read a labelled set as a catalogue of cutouts with labels.

    A folder of one folder a class, `.npz` with `images` and `labels`, idx files (MNIST), a table of paths or of
    positions on `mosaics`, or a catalogue of ours; no pixel is copied.
    """

    kind: ClassVar[str] = "dataset"
    version: ClassVar[int] = 1

    source: Annotated[str | None, BeforeValidator(_find), Source(tree=True, named=True)] = Field(
        None, description="The labelled set: a path, or a name below $SKYSIFT_DATASETS."
    )
    catalogue: Annotated[str | None, Input(*CATALOGUES)] = Field(
        None, description="Cutouts of ours that get the labels of a table with the columns cutout_id and label."
    )
    mosaics: Annotated[tuple[str, ...], Source()] = Field(
        (), description="FITS files on which the positions of a table lie."
    )
    window_size: PositiveInt | None = Field(
        None, description="Side of the cutout around a position [pixel]; 128 unless the table says."
    )
    columns: tuple[str, ...] = Field(
        (), description="What columns or arrays are called: label=score,path=file,ra=RAJ2000."
    )
    label_map: Annotated[tuple[str, ...], BeforeValidator(read_label_map)] = Field(
        (), description="Classes in their order, as FR-I=0..4,FR-II=5+6+7, or a file; other labels are left out."
    )
    hdu: NonNegativeInt | None = Field(None, description="Extension of FITS files; by default the first with an image.")
    plane: NonNegativeInt | None = Field(None, description="Plane of FITS cubes; by default Stokes I, first channel.")
    positions: Literal["wcs", "ignore"] = Field(
        "wcs", description="`ignore` leaves positions empty, for files whose WCS is known to be wrong."
    )

    @model_validator(mode="after")
    def _something(self) -> Dataset:
        if self.source is None and self.catalogue is None:
            raise RequestError("A labelled set needs a source (a path or a name) or a catalogue.")
        return self

    def companions(self, files: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
        """Find the files that the source names, and labels that lie beside it."""
        if self.source is None or self.catalogue is not None:
            return {}
        from pathlib import Path

        from skysift.datasets.catalogues import is_catalogue
        from skysift.datasets.formats import companions_of

        path = files["source"][0]
        if is_catalogue(Path(path)):
            return {}
        return {"files": [("", name) for name in companions_of(path, self.request(files.get("mosaics", ())))]}

    def request(self, mosaics: Sequence[str]) -> Request:
        """Return how the source is to be read."""
        from skysift.datasets.labelled import Request

        columns: dict[str, str] = {}
        for entry in self.columns:
            key, equals, name = (part.strip() for part in entry.partition("="))
            if not (key and equals and name):
                raise RequestError(f"columns: {entry!r} is not MEANING=NAME, such as label=score.")
            columns[key] = name
        return Request(columns, tuple(mosaics), self.window_size, self.hdu, self.plane, self.positions)

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """Count the entries of the set."""
        from pathlib import Path

        from skysift.datasets.catalogues import is_catalogue
        from skysift.datasets.formats import read_labelled

        rows = float(rows_in)
        if self.catalogue is None and files.get("source"):
            path = Path(files["source"][0])
            if is_catalogue(path):
                from skysift.cutouts.catalogue import Catalogue

                rows = float(len(Catalogue.open(path)))
            else:
                rows = float(len(read_labelled(str(path), self.request(files.get("mosaics", ())))))
        return {
            "rows": rows,
            "rows_at_most": rows,
            "disk_bytes": 60 * rows,
            "memory_bytes": 4e8 + 2e3 * rows,
            "seconds": 1 + rows / 3e3,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Measure the images on the engine and write catalogue and classes."""
        from skysift.datasets.work import run_dataset

        return run_dataset(self, context)
