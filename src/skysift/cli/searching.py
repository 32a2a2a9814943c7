"""`skysift similar`: what else looks like this?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from skysift.cli.registration import DISCOVERY, add
from skysift.cli.running import Running, Session, session
from skysift.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skysift.cutouts.catalogue import Catalogue
    from skysift.discovery.similar import Index
    from skysift.store import Artifact
    from skysift.tables.features import FeatureTable

QUERY = Group("What is searched for (one of)", sort_key=1)
OUTPUT = Group("Output", sort_key=10)
WRITERS = (".csv", ".parquet", ".vot")


def register(app: App) -> None:
    """Add the command."""
    add(app, similar, "similar", DISCOVERY)


def similar(
    features: Annotated[str, Parameter(help="Features of the cutouts that are searched: an id or a name.")],
    *,
    cutout: Annotated[str | None, Parameter(help="One of them, by its id or the beginning of it.", group=QUERY)] = None,
    position: Annotated[
        str | None,
        Parameter(help="The one at a place: '150.1 2.2' (degrees) or '10:00:24 +02:12:00'.", group=QUERY),
    ] = None,
    image: Annotated[str | None, Parameter(help="A cutout from elsewhere: FITS, PNG, JPEG.", group=QUERY)] = None,
    mosaic: Annotated[
        str | None, Parameter(help="With --position: a window of this FITS file, which need not be known.", group=QUERY)
    ] = None,
    size: Annotated[
        int | None, Parameter(help="Side of that window [pixel]. [default: that of most cutouts]", group=QUERY)
    ] = None,
    count: Annotated[int, Parameter(help="How many are shown.", group=OUTPUT)] = 20,
    distinct: Annotated[
        bool, Parameter(help="Show each object on the sky once, and not the one asked for.", negative=(), group=OUTPUT)
    ] = False,
    to: Annotated[
        Path | None, Parameter(help="Write the table there: .csv, .parquet or .vot (VOTable).", group=OUTPUT)
    ] = None,
    figure: Annotated[
        Path | None, Parameter(help="Draw them there, what was asked for first: .png or .svg.", group=OUTPUT)
    ] = None,
    running: Running | None = None,
) -> None:
    """Find the cutouts that look most like one: of the set, of a place on the sky, or from a file.

    Similarity is the cosine of the angle between features, 1 for the same direction. Every cutout is compared up to a
    million; above, an index is made once (`skysift search-index`) and the lists nearest to the query are looked into.

    Examples
    --------
        skysift similar 5d01 --cutout 0123456789abcdef
        skysift similar 5d01 --position '10:00:24 +02:12:00' --distinct
        skysift similar 5d01 --image ring.fits --count 50 --to rings.vot --figure rings.png
        skysift similar 5d01 --mosaic new_field.fits --position '150.1 2.2'
    """
    _check(cutout, position, image, mosaic, size, count)
    for path, endings in ((to, WRITERS), (figure, (".png", ".svg"))):
        if path is not None and path.suffix.lower() not in endings:
            raise RequestError(f"{path} must end in {', '.join(endings[:-1])} or {endings[-1]}.")
    with session(running) as active:
        search = Search(active, features)
        row, picture, vector = search.query(cutout, position, image, mosaic, size)
        rows, similarity = search.neighbours(vector, row, count, distinct=distinct)
        table = search.table(rows, similarity)
        if to is not None:
            _write(table, to)
        if figure is not None:
            search.draw(picture, row, rows, similarity, figure)
        _print(table, search, as_json=active.running.json)


def _check(
    cutout: str | None, position: str | None, image: str | None, mosaic: str | None, size: int | None, count: int
) -> None:
    given = [f"--{name}" for name, value in (("cutout", cutout), ("position", position), ("image", image)) if value]
    if len(given) != 1:
        which = f"not {' and '.join(given)} together" if given else "what is searched for"
        raise RequestError(f"skysift similar takes one of --cutout, --position and --image: {which}.")
    if mosaic is not None and position is None:
        raise RequestError("--mosaic needs --position: where in it the window is.")
    if size is not None and (mosaic is None or size < 1):
        raise RequestError("--size is the side of a window of --mosaic, in pixels of at least 1.")
    if count < 1:
        raise RequestError(f"--count {count} shows nothing; ask for at least 1.")


class Search:
    """Features and the catalogue that they belong to, while one command runs."""

    def __init__(self, active: Session, reference: str) -> None:
        from skysift.cutouts.catalogue import Catalogue
        from skysift.tables.features import FeatureTable

        self.active, self.store = active, active.store
        self.artifact: Artifact = self.store.get(reference)
        self.features: FeatureTable = FeatureTable.open(self.artifact)
        self.catalogue: Catalogue = Catalogue.open(self.artifact)

    def query(
        self, cutout: str | None, position: str | None, image: str | None, mosaic: str | None, size: int | None
    ) -> tuple[int | None, NDArray[np.float32] | None, NDArray[np.float32]]:
        """Return the row of what is searched for (None for an image from elsewhere), its pixels, and its features."""
        from skysift.discovery.similar import queries

        picture = None
        zero = bool(self.catalogue.mosaics.num_rows) and all(self.catalogue.mosaics.column("zero_is_nan").to_pylist())
        if cutout is not None:
            row = queries.row_of(self.catalogue.column("cutout_id"), cutout)
        elif image is not None:
            picture = queries.read_image(image, zero_is_nan=zero)
        else:
            ra, dec = queries.parse_position(str(position))
            if mosaic is None:
                row = queries.row_at(self.catalogue, ra, dec)
            else:
                side = size or queries.usual_size(self.catalogue)
                picture = queries.read_window(mosaic, ra, dec, side, zero_is_nan=zero)
        if picture is None:
            return row, None, self.features.take([row])[0]
        device = self.active.running.device
        found = queries.encode_like(self.artifact, [picture], self.store.get, self.store.sources.locate, device=device)
        return None, picture, found[0]

    def index(self) -> Index:
        """Return the index of the features; a large one is made where it isn't there."""
        from skysift.discovery.similar import EXACT_ROWS, Index, SearchIndex

        if len(self.features) <= EXACT_ROWS:
            return Index.of(self.features.array)
        from skysift.discovery.similar.inverted import InvertedFile
        from skysift.discovery.similar.stage import INDEX

        made = self.active.run(SearchIndex(features=self.artifact.id))
        return Index.of(self.features.array, inverted=InvertedFile.open(made.path(INDEX)))

    def neighbours(
        self, vector: NDArray[np.float32], row: int | None, count: int, *, distinct: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the likest rows without the one asked for, and their similarities."""
        index = self.index()
        if not distinct:
            rows, similarity = index.query(vector, count + 1)
            keep = rows != (-1 if row is None else row)
            return rows[keep][:count], similarity[keep][:count]
        from skysift.discovery.candidates import first_windows

        asked = 4 * count + 16
        while True:
            rows, similarity = index.query(vector, asked)
            keep = self._first_of_each(first_windows, rows, row)
            if keep.sum() >= count or asked >= len(self.features):
                return rows[keep][:count], similarity[keep][:count]
            asked *= 4

    def _first_of_each(self, first_windows: Any, rows: NDArray[np.int64], row: int | None) -> NDArray[np.bool_]:
        import numpy as np

        from skysift.cutouts.pixels import PixelSource

        together = rows if row is None else np.concatenate([[row], rows[rows != row]])
        pixels = PixelSource.open(self.artifact, self.store.sources.locate)
        first = together[first_windows(self.catalogue, pixels, together)]
        return np.isin(rows, first if row is None else first[first != row])

    def table(self, rows: NDArray[np.int64], similarity: NDArray[np.float32]) -> Any:
        """Return a pyarrow.Table: cutout_id, similarity, file, and where the cutouts are."""
        import pyarrow as pa

        from skysift.cutouts.place import place_columns, table_field
        from skysift.discovery.similar.queries import mosaic_name

        fields, columns = place_columns(self.catalogue.table.take(pa.array(rows)))
        prints = columns[[field.name for field in fields].index("mosaic")].to_pylist()
        names = {print_: mosaic_name(print_, self.store.sources.locate) for print_ in set(prints)}
        likeness = table_field("similarity", pa.float32(), "Cosine with the features asked for.", "stat.value")
        file = table_field("file", pa.string(), "Name of the mosaic's file.", "meta.id;meta.file")
        return pa.Table.from_arrays(
            [
                columns[0],
                pa.array(similarity),
                *columns[1:],
                pa.array([names[print_] for print_ in prints], pa.string()),
            ],
            schema=pa.schema([fields[0], likeness, *fields[1:], file]),
        )

    def draw(
        self,
        picture: NDArray[np.float32] | None,
        row: int | None,
        rows: NDArray[np.int64],
        similarity: NDArray[np.float32],
        path: Path,
    ) -> None:
        """Draw what was asked for and the cutouts found."""
        import numpy as np

        from skysift.cutouts.pixels import PixelSource
        from skysift.report.figures import draw_gallery

        pixels = PixelSource.open(self.artifact, self.store.sources.locate)
        images = list(pixels.read(rows if row is None else np.concatenate([[row], rows])))
        asked = images.pop(0) if picture is None else picture
        ids = self.catalogue.table.column("cutout_id")
        items = [(asked, ("asked for", "" if row is None else ids[row].as_py()))]
        for found, image, likeness in zip(rows.tolist(), images, similarity, strict=True):
            items.append((image, (f"{likeness:.3f}", ids[found].as_py())))
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_gallery(items, columns=min(6, len(items))).savefig(path, dpi=150)


def _write(table: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".vot":
        from skysift.tables.votable import write_votable

        write_votable(table, path, name="similar", description="Cutouts that look like one, the likest first.")
    elif path.suffix.lower() == ".parquet":
        from skysift.cutouts.catalogue import write_table

        write_table(table, path)
    else:
        import pyarrow.csv as csv

        csv.write_csv(table, path)


def _print(table: Any, search: Search, *, as_json: bool) -> None:
    found = table.select(["cutout_id", "similarity", "ra", "dec", "file"]).to_pylist()
    if as_json:
        print(json.dumps({"features": search.artifact.id, "similar": found}, indent=1))
        return
    if not found:
        print("no other cutouts", file=sys.stderr)
        return
    print(f"{'CUTOUT':<18}{'SIMILARITY':>10}{'RA':>12}{'DEC':>12}  MOSAIC")
    for entry in found:
        ra, dec = ("" if entry[name] is None else f"{entry[name]:.5f}" for name in ("ra", "dec"))
        print(f"{entry['cutout_id']:<18}{entry['similarity']:>10.4f}{ra:>12}{dec:>12}  {entry['file']}")
