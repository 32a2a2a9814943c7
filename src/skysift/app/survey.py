"""What the app looks at: the cutouts of one set, and all that was found out about them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skysift.app.columns import Columns
from skysift.app.ratings import add_ratings, open_ledger
from skysift.cutouts.catalogue import CATALOGUE, Catalogue
from skysift.errors import RequestError
from skysift.store.artifact import Artifact
from skysift.store.lineage import ancestors, descendants
from skysift.store.store import Store
from skysift.tables.features import FEATURES, FeatureTable

if TYPE_CHECKING:
    from skysift.cutouts.pixels import PixelSource

SETS = ("cutouts", "merge", "pack", "dataset", "subsample")
"""Kinds of artifacts whose catalogue can be looked at where there are no features."""
CUTOUT_ID = re.compile(r"[0-9a-f]{16}")
Keys = NDArray[np.uint64]


class Survey:
    """Cutouts with pixels, features, scores, maps, clusters and ratings; opened once and shared by all browsers.

    Everything but the catalogue is read when it is first used. Thread-safe; nothing is written but ratings.

    Parameters
    ----------
    store : Store
        Where the artifacts are.
    reference : str, optional
        Id, prefix or name of features, of a catalogue, or of anything made from them; the newest features of the
        store by default, else its newest catalogue.
    ledger : str, optional
        URL or path of the ledger of ratings; `STORE/ledger.sqlite` by default.

    Attributes
    ----------
    base : Artifact
        Its catalogue's rows are the rows of everything here.
    opened : Artifact
        What was asked for.
    columns : Columns
        Of the catalogue, and what other artifacts say about the same cutouts.

    Raises
    ------
    RequestError
        If the store holds nothing to look at.
    """

    def __init__(self, store: Store, reference: str | None = None, *, ledger: str | None = None) -> None:
        self.store = store
        self.base, self.opened = find_base(store, reference)
        self.ledger_url = ledger or str(store.root / "ledger.sqlite")
        self.catalogue = Catalogue.open(self.base)
        if not len(self.catalogue):
            raise RequestError(f"{self.base.kind} {self.base.id[:12]} holds no cutouts: make it with other options.")
        self._lock = threading.RLock()
        self._rated_version = -1
        self._related: list[Artifact] | None = None
        self._names: dict[str, str] | None = None
        self.columns = Columns()
        self._join()

    @property
    def table(self) -> Any:
        """The catalogue as a pyarrow.Table, one row a cutout."""
        return self.catalogue.table

    def __len__(self) -> int:
        return len(self.catalogue)

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each column, "" where it has none."""
        return self.columns.units

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """Cutout ids, shape (N,), 16 hex digits each."""
        return np.asarray(self.table.column("cutout_id").to_numpy(), dtype="U16")

    def row_of(self, cutout_id: str) -> int:
        """Return the row of a cutout.

        Raises
        ------
        RequestError
            If there is no such cutout here.
        """
        key = np.uint64(int(cutout_id, 16)) if CUTOUT_ID.fullmatch(cutout_id) else None
        place = -1 if key is None else int(np.searchsorted(self._sorted_keys, key))
        if key is None or place >= len(self) or self._sorted_keys[place] != key:
            raise RequestError(f"There is no cutout {cutout_id[:40]!r} in this survey: ids have 16 hexadecimal digits.")
        return int(self._key_order[place])

    def rows_of(self, cutout_ids: Any) -> NDArray[np.int64]:
        """Return the rows of cutouts, -1 for those that are not here.

        Parameters
        ----------
        cutout_ids : sequence of str, or pyarrow column, length n
            16 hexadecimal digits each.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        wanted = keys_of(cutout_ids)
        place = np.minimum(np.searchsorted(self._sorted_keys, wanted), len(self) - 1)
        return np.where(self._sorted_keys[place] == wanted, self._key_order[place], -1)

    @cached_property
    def features(self) -> FeatureTable | None:
        """Features of the cutouts in the order of the rows; None where the base has none."""
        return FeatureTable.open(self.base) if (self.base.folder / FEATURES).is_file() else None

    @cached_property
    def pixels(self) -> PixelSource:
        """Pixels of the cutouts.

        Raises
        ------
        RequestError
            If a mosaic has moved or changed.
        """
        from skysift.cutouts.pixels import PixelSource

        with self._lock:
            return PixelSource.open(self.base, self.store.sources.locate)

    @cached_property
    def ledger(self) -> Any:
        """The ledger of ratings (`skysift.discovery.ledger.Ledger`)."""
        with self._lock:
            return open_ledger(self.ledger_url)

    @cached_property
    def similar(self) -> Any:
        """Index of the features for similarity searches (`skysift.discovery.similar.Index`), None without features."""
        if self.features is None:
            return None
        from skysift.discovery.similar import Index

        with self._lock:
            return Index.of(self.features.array)

    def of_kind(self, kind: str) -> dict[str, Artifact]:
        """Return the artifacts of a kind that are about these cutouts, by title, newest first."""
        return {self.title(a): a for a in self.related if a.kind == kind}

    @property
    def clusters(self) -> Mapping[str, Artifact]:
        """Trees of clusters of the base's features, by title, newest first."""
        return {t: a for t, a in self.of_kind("clusters").items() if a.config.get("features") == self.base.id}

    @property
    def subsamples(self) -> Mapping[str, Artifact]:
        """Subsamples drawn from these cutouts, by title, newest first."""
        return self.of_kind("subsample")

    @property
    def anomalies(self) -> Mapping[str, Artifact]:
        """Rankings by anomaly, by title, newest first."""
        return self.of_kind("anomalies")

    @cached_property
    def projections(self) -> Mapping[str, NDArray[np.float32]]:
        """Maps to two dimensions by title, shape (N, 2) each, NaN where a cutout is not on the map."""
        from skysift.app.joining import projection

        found = {title: projection(self, artifact) for title, artifact in self.of_kind("projection").items()}
        return {title: points for title, points in found.items() if points is not None}

    @property
    def related(self) -> list[Artifact]:
        """All artifacts that are, or were made from, what the base was made from, newest first; the base among them."""
        if self._related is None:
            self._related = self._find_related()
        return self._related

    def title(self, artifact: Artifact) -> str:
        """Return an artifact's name, or its kind and the first digits of its id."""
        if self._names is None:
            self._names = {id_: name for name, id_ in self.store.names().items()}
        return self._names.get(artifact.id, f"{artifact.kind} {artifact.id[:8]}")

    def refresh(self) -> None:
        """Look again for artifacts about these cutouts: new ones join, removed ones leave."""
        with self._lock:
            self._join()
            self.__dict__.pop("projections", None)

    def refresh_ratings(self, version: int) -> None:
        """Make the columns of ratings anew if the ledger has grown to another version."""
        with self._lock:
            if version != self._rated_version:
                self._rated_version = version
                add_ratings(self, self.columns)

    @cached_property
    def _key_order(self) -> NDArray[np.int64]:
        return np.argsort(self._keys, kind="stable").astype(np.int64)

    @cached_property
    def _sorted_keys(self) -> Keys:
        return self._keys[self._key_order]

    @cached_property
    def _keys(self) -> Keys:
        return keys_of(self.table.column("cutout_id"))

    def _find_related(self) -> list[Artifact]:
        roots = [a for a in ancestors(self.store, self.base.id).values() if a is not None and a.kind in SETS]
        found = {self.base.id: self.base}
        for root in roots or [self.base]:
            found |= descendants(self.store, root.id)
        return sorted(found.values(), key=lambda a: (-a.created, a.id))

    def _join(self) -> None:
        from skysift.app import joining

        self._related, self._names = None, None
        columns = Columns()
        joining.catalogue_columns(self, columns)
        adders: dict[str, Callable[..., None]] = joining.ADDERS
        for artifact in self.related:
            if artifact.kind in adders:
                adders[artifact.kind](self, columns, artifact)
        add_ratings(self, columns)
        self.columns = columns


def find_base(store: Store, reference: str | None) -> tuple[Artifact, Artifact]:
    """Return the artifact whose catalogue's rows an app shows, and the one that was asked for.

    Raises
    ------
    RequestError
        If there is none.
    """
    if reference is None:
        found = sorted(store.artifacts(), key=lambda a: (-a.created, a.id))
        chosen = next(
            (a for kinds in (("features",), SETS) for a in found if a.kind in kinds and _has_catalogue(a)), None
        )
        if chosen is None:
            raise RequestError(
                f"{store.root} holds no cutouts to look at: `skysift cutouts` and `skysift features` make them."
            )
        return chosen, chosen
    opened = store.get(reference)
    if opened.kind == "features" or (opened.kind in SETS and opened.kind != "subsample"):
        return opened, opened
    up = [a for a in ancestors(store, opened.id).values() if a is not None]
    features = [a for a in up if a.kind == "features" and _has_catalogue(a)]
    direct = [a for a in features if a.id in opened.inputs]
    if len(direct) > 1 and _has_catalogue(opened):  # several window sizes: only together do they hold all rows
        return opened, opened
    for base in (*features, opened, *(a for a in up if a.kind in SETS)):
        if _has_catalogue(base):
            return base, opened
    raise RequestError(f"{opened.kind} {opened.id[:12]} has no cutouts to look at: name features or a catalogue.")


def keys_of(cutout_ids: Any) -> Keys:
    """Return cutout ids as numbers that sort alike.

    Parameters
    ----------
    cutout_ids : sequence of str, or pyarrow column, length n
        16 hexadecimal digits each.

    Returns
    -------
    ndarray of uint64, shape (n,)
    """
    texts = cutout_ids.to_pylist() if hasattr(cutout_ids, "to_pylist") else list(cutout_ids)
    if any(len(text) != 16 for text in texts):
        raise RequestError("A cutout's id has 16 hexadecimal digits: make the catalogue again.")
    try:
        return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64)
    except ValueError:
        raise RequestError("A cutout's id has 16 hexadecimal digits: make the catalogue again.") from None


def _has_catalogue(artifact: Artifact) -> bool:
    return (artifact.folder / CATALOGUE).is_file()
