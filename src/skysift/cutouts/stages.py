"""The stages that make catalogues of cutouts, put them together, and pack their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from skysift.store.fields import Input, Runtime, Source
from skysift.store.stage import Stage

if TYPE_CHECKING:
    from skysift.store.context import Context

CATALOGUES = ("cutouts", "merge", "subsample", "dataset")
SOURCE_LISTS = (".csv", ".ecsv", ".parquet", ".vot", ".xml", ".votable", ".srl", ".gaul", ".fits", ".fit", ".txt")


class Cutouts(Stage):
    """Cut mosaics into windows, or boxes around sources, and measure each: a catalogue without pixels.

    Windows with less than `min_valid` finite pixels are left out and counted in the manifest. With `sources`, a
    square box around each source takes the place of the sliding windows.
    """

    kind: ClassVar[str] = "cutouts"
    version: ClassVar[int] = 1

    mosaics: Annotated[tuple[str, ...], Source()] = Field(
        min_length=1, description="FITS files, folders, patterns or URLs; identified by content, not by path."
    )
    window_size: tuple[PositiveInt, ...] = Field(
        (128,), min_length=1, description="Sides of the sliding windows [pixel]; several make one set."
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="Shared fraction of neighbouring windows.")
    edge: Literal["align", "drop"] = Field(
        "align", description="Last row and column: flush with the mosaic's edge, or left out."
    )
    min_valid: float = Field(0.7, gt=0, le=1, description="Least fraction of finite pixels of a cutout.")
    sources: Annotated[str | None, Source(suffixes=SOURCE_LISTS)] = Field(
        None, description="List of sources: cut a box around each in place of sliding windows."
    )
    zoom: PositiveFloat = Field(1.5, description="Side of a box over the larger side of its source's bounding box.")
    min_size: PositiveInt = Field(32, description="Least side of a box around a source [pixel].")
    source_columns: tuple[str, ...] = Field(
        (), description="Columns of the source list where they can't be told: ra=RAJ2000,dec=DEJ2000,major=Maj."
    )
    mask: Annotated[str | None, Runtime()] = Field(
        None,
        description="Mask beside each mosaic, {stem} being its name: '{stem}_mask.fits'; enters the id by content.",
    )
    plane: NonNegativeInt | None = Field(None, description="Plane of cubes; by default Stokes I of the first channel.")
    hdu: NonNegativeInt | None = Field(None, description="FITS extension; by default the first with an image.")
    bunit: str | None = Field(None, description="Unit of the pixels, for mosaics that don't say.")
    positions: Literal["wcs", "ignore"] = Field(
        "wcs", description="`ignore` leaves positions empty, for mosaics whose WCS is known to be wrong."
    )
    zero_is_nan: bool = Field(False, description="Take exact zeros for no data (blanked borders).")
    complexity: bool = Field(False, description="Measure coarse-grained complexity too (slower).")

    @field_validator("window_size")
    @classmethod
    def _ascending(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(sizes)))

    def companions(self, files: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
        """Find the mask of each mosaic."""
        if self.mask is None:
            return {}
        from skysift.cutouts.images import named_files
        from skysift.cutouts.masks import find_masks

        return {"mask": find_masks(files["mosaics"], self.mask, named_files(self.mosaics))}

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Count the windows from the headers alone."""
        from skysift.cutouts.estimate import estimate_cutouts

        return estimate_cutouts(files["mosaics"], self, files.get("sources", ()))

    def run(self, context: Context) -> dict[str, Any]:
        """Measure all windows on the engine and write the catalogue."""
        from skysift.cutouts.work import run_cutouts

        return run_cutouts(self, context)


class Merge(Stage):
    """Put catalogues of several surveys together.

    Exact repeats (equal `cutout_id`) are dropped; of cutouts closer than `min_separation` the one of higher
    signal-to-noise ratio stays.
    """

    kind: ClassVar[str] = "merge"
    version: ClassVar[int] = 1

    catalogues: Annotated[tuple[str, ...], Input(*CATALOGUES)] = Field(
        min_length=1, description="Sets of cutouts: ids, prefixes or names."
    )
    min_separation: PositiveFloat | None = Field(
        None, description="Least distance between the centres of cutouts [arcsec]."
    )

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take that nothing repeats."""
        return {
            "rows": rows_in,
            "rows_at_most": rows_in,
            "disk_bytes": 80.0 * rows_in,
            "memory_bytes": 4e8 + 900.0 * rows_in,
            "seconds": 1 + rows_in / 2e5,
        }

    def run(self, context: Context) -> dict[str, Any]:
        """Concatenate, drop repeats, and write the catalogue."""
        from skysift.cutouts.work import run_merge

        return run_merge(self, context)


class Pack(Stage):
    """Copy the pixels of cutouts into one memory-mapped array, for training without the mosaics.

    The numbers are those of the mosaics: float32, NaN where there are no data.
    """

    kind: ClassVar[str] = "pack"
    version: ClassVar[int] = 1

    cutouts: Annotated[str, Input(*CATALOGUES)] = Field(description="Set of cutouts: an id, a prefix or a name.")

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Take cutouts of 128 pixels."""
        return {"rows": rows_in, "disk_bytes": 65536.0 * rows_in, "memory_bytes": 5e8, "seconds": 1 + rows_in / 5e3}

    def run(self, context: Context) -> dict[str, Any]:
        """Copy the pixels on the engine."""
        from skysift.cutouts.work import run_pack

        return run_pack(self, context)
