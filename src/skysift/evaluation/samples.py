"""The labelled samples of a features artifact: features, classes, places, duplicates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.errors import RequestError, SkysiftError
from skysift.evaluation.labels import NONE, SEVERAL, ClassSet, class_set
from skysift.evaluation.windows import ARCSEC, LEAST_RADIUS, Windows

if TYPE_CHECKING:
    import pyarrow as pa

    from skysift.evaluation.images import ImageSource
    from skysift.evaluation.protocols.zeroshot import Texts
    from skysift.store.artifact import Artifact

TRAIN_WORDS = frozenset({"train", "training", "validation", "valid", "val"})
TEST_WORDS = frozenset({"test", "testing"})
CHECK_ROWS = 16384
SAME = 1e-4
SAME_HALF = 1e-3


@dataclass(frozen=True)
class Samples:
    """Labelled samples.

    Attributes
    ----------
    features : array, shape (n_all, d)
        Features of the whole catalogue, memory-mapped.
    rows : ndarray of int, shape (n,)
        Rows of the catalogue that have one class of the task.
    cutout_ids : ndarray of str, shape (n,)
        Their ids.
    classes : ndarray of int, shape (n,)
        Class index of each.
    class_set : ClassSet
        The classes of the whole data set.
    windows : Windows
        Where each lies.
    twins : ndarray of int, shape (n,)
        Equal numbers mark samples of the same content.
    fixed : ndarray of bool or None, shape (n,)
        True = test, where the data set comes with a split.
    named : ndarray of int64 or None, shape (n,)
        Number of the group that the data set names each in, such as a pointing; -1 where it names none.
    unlabelled, ambiguous : int
        Rows of the catalogue without a class of the task, and with several.
    images : ImageSource or None
        The samples' images, row by row, and the encoder that made the features; None where they are not at hand.
    texts : Texts or None
        The classes and the text tower of the encoder; None where no protocol asks for them.
    """

    features: Any
    rows: NDArray[np.int64]
    cutout_ids: NDArray[np.str_]
    classes: NDArray[np.int64]
    class_set: ClassSet
    windows: Windows
    twins: NDArray[np.int64]
    fixed: NDArray[np.bool_] | None = None
    named: NDArray[np.int64] | None = None
    unlabelled: int = 0
    ambiguous: int = 0
    notes: list[str] = field(default_factory=list)
    images: ImageSource | None = None
    texts: Texts | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def matrix(self, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of some samples as float32, shape (m, d)."""
        return np.asarray(self.features[self.rows[samples]], dtype=np.float32)

    def class_counts(self, samples: NDArray[np.int64]) -> dict[str, int]:
        """Return how many of some samples each class has."""
        counts = np.bincount(self.classes[samples], minlength=len(self.class_set))
        return dict(zip(self.class_set.names, counts.tolist(), strict=True))

    def members(self) -> dict[str, list[str]]:
        """Return the labels that each class is made of."""
        found: dict[str, list[str]] = {name: [] for name in self.class_set.names}
        for label, index in self.class_set.members.items():
            found[self.class_set.names[index]].append(label)
        return found

    def describe(self) -> dict[str, int]:
        """Return how many samples there are, how many cutouts are none, and how many samples repeat another."""
        return {
            "labelled": len(self),
            "without_class": self.unlabelled,
            "several_classes": self.ambiguous,
            "equal_content": len(self) - len(np.unique(self.twins)),
        }


def load_samples(features: Artifact, classes: tuple[str, ...] = (), order: tuple[str, ...] = ()) -> Samples:
    """Read the labelled samples of a features artifact.

    Parameters
    ----------
    features : Artifact
        Of kind features.
    classes : tuple of str
        See `class_set`; empty: every label.
    order : tuple of str
        The data set's own order of its classes.

    Returns
    -------
    Samples

    Raises
    ------
    RequestError
        If there are too few labels or classes for an evaluation.
    SkysiftError
        If features hold values that are not finite.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(features.path("catalogue.parquet"))
    mosaics = pq.read_table(features.path("mosaics.parquet"))
    array = np.load(features.path("features.npy"), mmap_mode="r")
    if len(array) != table.num_rows:
        raise SkysiftError(f"features {features.id} has {len(array)} rows for {table.num_rows} cutouts: verify it.")
    return make_samples(table, mosaics, array, classes, order)


def class_order(features: Artifact, find: Callable[[str], Artifact]) -> tuple[str, ...]:
    """Return the classes in the order of the labelled sets that the features' catalogue comes from.

    Parameters
    ----------
    features : Artifact
        Of kind features.
    find : callable
        Id -> artifact.
    """
    names: dict[str, None] = {}
    queue = list(features.inputs)
    for id_ in queue:
        artifact = find(id_)
        if artifact.kind == "model":  # what an encoder was trained on says nothing about the task
            continue
        if (artifact.folder / "classes.json").is_file():
            names |= dict.fromkeys(json.loads(artifact.path("classes.json").read_text())["classes"])
        else:
            queue += [i for i in artifact.inputs if i not in queue]
    return tuple(names)


def make_samples(
    table: pa.Table, mosaics: pa.Table, features: Any, classes: tuple[str, ...] = (), order: tuple[str, ...] = ()
) -> Samples:
    """Choose the labelled rows of a catalogue; arguments and errors as in `load_samples`."""
    labels = table.column("labels").to_pylist() if "labels" in table.column_names else [None] * table.num_rows
    found = class_set(labels, classes, order)
    assigned = found.assign(labels)
    rows = np.flatnonzero(assigned >= 0)
    notes: list[str] = []
    if len(rows) < 2 * len(found):
        raise RequestError(f"Only {len(rows)} cutouts are labelled with {len(found)} classes: label more of them.")
    fixed = _fixed_split(table, rows)
    if fixed is not None:
        rows, fixed = rows[fixed >= 0], fixed[fixed >= 0] == 1
    chosen = table.take(rows)
    for start in range(0, len(rows), CHECK_ROWS):
        if not np.isfinite(np.asarray(features[rows[start : start + CHECK_ROWS]], dtype=np.float32)).all():
            raise SkysiftError("Some features are not finite: make them again with another encoder or preprocessing.")
    return Samples(
        features=features,
        rows=rows,
        cutout_ids=np.asarray(chosen.column("cutout_id").to_pylist(), dtype=str),
        classes=assigned[rows],
        class_set=found,
        windows=make_windows(chosen, mosaics),
        twins=find_twins(chosen, features, rows, notes),
        fixed=fixed,
        named=_named_groups(chosen),
        unlabelled=int((assigned == NONE).sum()),
        ambiguous=int((assigned == SEVERAL).sum()),
        notes=notes,
    )


def make_windows(table: pa.Table, mosaics: pa.Table) -> Windows:
    """Take the places of samples from a catalogue and its table of mosaics."""
    names = table.column("mosaic").to_pylist()
    codes = {name: number for number, name in enumerate(sorted(set(names)))}
    mosaic = np.array([codes[name] for name in names], dtype=np.int64)
    known = mosaics.to_pylist()
    stacks = {m["mosaic"] for m in known if not str(m.get("format") or "fits").lower().startswith("fits")}
    scales = {m["mosaic"]: m["pixel_scale"] for m in known if m.get("pixel_scale")}
    plane, hdu, x0, y0, width, height = (
        _integers(table, name) for name in ("plane", "hdu", "x0", "y0", "width", "height")
    )
    in_stack = np.array([name in stacks for name in names], dtype=bool)
    keys = np.column_stack([mosaic, np.where(in_stack, hdu, 0), np.where(in_stack, plane, 0)])
    image = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    ra, dec = (np.radians(_floats(table, name)) for name in ("ra", "dec"))
    scale = np.array([scales.get(name, 0.0) for name in names], dtype=np.float64)
    cells = table.column("healpix29").fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Windows(
        mosaic=mosaic,
        image=image,
        box=np.column_stack([x0, y0, x0 + width, y0 + height]),
        position=np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]),
        radius=np.maximum(0.5 * np.hypot(width, height) * scale * ARCSEC, LEAST_RADIUS),
        cell29=np.where(np.isfinite(ra), cells, -1),
    )


def find_twins(table: pa.Table, features: Any, rows: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Number samples by content: those with equal statistics and the same features are one image.

    Features may differ in their last digits between batches, hence a tolerance on their distance; statistics are
    computed sample by sample and must be equal to the last bit.

    Parameters
    ----------
    table : pyarrow.Table
        Catalogue of the samples.
    features : array, shape (n_all, d)
        Features of the whole catalogue.
    rows : ndarray of int, shape (n,)
        The samples' rows in `features`.
    notes : list of str
        A remark is added where an encoder gives everything the same features.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    names = [n for n in ("width", "height", "valid_fraction", "median", "rms", "peak") if n in table.column_names]
    columns = [_floats(table, name).astype(np.float32) for name in names]
    kinds = np.unique(np.column_stack(columns).view(np.uint32), axis=0, return_inverse=True)[1].reshape(-1)
    tolerance = SAME_HALF if features.dtype == np.float16 else SAME
    twins = np.arange(len(rows), dtype=np.int64)
    by_kind = np.argsort(kinds, kind="stable")
    for members in np.split(by_kind, np.flatnonzero(np.diff(kinds[by_kind])) + 1):
        if len(members) > 1:
            _merge_equal(members, np.asarray(features[rows[members]], dtype=np.float32), tolerance, twins)
    largest = int(np.bincount(twins).max())
    if largest > max(8, len(rows) // 4):
        notes.append(
            f"the encoder gives {largest} of {len(rows)} cutouts the same features: it has probably collapsed, "
            "and cutouts of equal content can't be told apart"
        )
        return np.arange(len(rows), dtype=np.int64)
    return twins


def _merge_equal(
    members: NDArray[np.int64], values: NDArray[np.float32], tolerance: float, twins: NDArray[np.int64]
) -> None:
    """Give equal numbers to samples whose features agree; candidates are neighbours in a fixed random direction."""
    direction = np.random.Generator(np.random.PCG64(0)).standard_normal(values.shape[1])
    places = values @ (direction / np.linalg.norm(direction)).astype(np.float32)
    limits = tolerance * np.maximum(np.linalg.norm(values, axis=1), 1e-30)
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], (places + limits)[order], side="right")
    for rank, (i, end) in enumerate(zip(order, ends, strict=True)):
        others = order[rank + 1 : end]
        same = others[np.linalg.norm(values[others] - values[i], axis=1) <= limits[i]]
        if len(same):
            local = twins[members]
            twins[members[np.isin(local, local[same])]] = local[i]


def _fixed_split(table: pa.Table, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return 1 = test, 0 = train, -1 = neither, from a catalogue's own column `split`."""
    if "split" not in table.column_names:
        return None
    words = [str(word or "").lower() for word in table.column("split").take(rows).to_pylist()]
    found = np.array([1 if w in TEST_WORDS else 0 if w in TRAIN_WORDS else -1 for w in words], dtype=np.int64)
    return found if (found == 1).any() and (found == 0).any() else None


def _named_groups(table: pa.Table) -> NDArray[np.int64] | None:
    """Number what a catalogue's column `split` names, where that is no division into training and test."""
    if "split" not in table.column_names or not table.column("split").combine_chunks().drop_null():
        return None
    codes = table.column("split").combine_chunks().dictionary_encode().indices
    return codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return table.column(name).to_numpy().astype(np.int64)


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)
