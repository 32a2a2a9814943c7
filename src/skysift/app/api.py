"""What the page fetches beside its websocket: thumbnails, files, ratings."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from tornado.web import HTTPError, RequestHandler, StaticFileHandler, stream_request_body

from skysift.app.pictures import COLOUR_MAPS, STRETCHES, Thumbnails, png_bytes
from skysift.app.runs.taking_in import MOST_BYTES, Upload
from skysift.errors import RequestError, SkysiftError

if TYPE_CHECKING:
    from skysift.app.survey import Survey

ASSETS = Path(__file__).parent / "assets"
ID = r"([0-9a-f]{16})"
MARKUP = re.compile(r"<\s*[a-zA-Z/!?]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
FORMATS = {"csv": "csv", "parquet": "parquet", "vot": "votable"}
THREADS = 4
"""Pictures and files are made beside the event loop."""
M = TypeVar("M", bound=BaseModel)
CutoutId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


def _plain(text: str) -> str:
    """Return a text, or refuse it: markup and control characters have no place in what other users will see."""
    if MARKUP.search(text):
        raise ValueError("markup or control characters")
    return text


Name = Annotated[str, Field(max_length=64, min_length=1), AfterValidator(_plain)]
log = logging.getLogger(__name__)


class Look(BaseModel):
    """How a thumbnail looks."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(128, ge=16, le=512)
    stretch: Literal[STRETCHES] = "zscale"  # type: ignore[valid-type]
    contrast: float = Field(0.25, gt=0, le=1)
    cmap: Literal[COLOUR_MAPS] = "gray"  # type: ignore[valid-type]


class Wide(Look):
    """How a picture of surroundings looks."""

    zoom: int = Field(4, ge=2, le=8, description="Width, in cutouts.")


class Judged(BaseModel):
    """A rating of one or several cutouts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cutout_ids: list[CutoutId] = Field(min_length=1, max_length=1000)
    user: Name
    judgement: Literal["interesting", "artefact", "boring"] | None = None
    score: int | None = Field(None, ge=0, le=5)
    tags: list[Name] = Field(default_factory=list, max_length=16)
    comment: Annotated[str, AfterValidator(_plain)] = Field("", max_length=4000)
    model: Annotated[str, AfterValidator(_plain)] = Field("", max_length=64)


class Wanted(BaseModel):
    """Cutouts to export."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cutout_ids: list[CutoutId] = Field(min_length=1, max_length=20_000)


class Handler(RequestHandler):
    """Base of ours: errors are one plain sentence, never a traceback or a path."""

    def initialize(self, survey: Survey, pool: ThreadPoolExecutor, thumbnails: Thumbnails) -> None:
        """Take what all handlers share."""
        self.survey, self.pool, self.thumbnails = survey, pool, thumbnails

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with the reason alone."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Print only what nobody foresaw."""
        if not isinstance(value, HTTPError):
            log.error("%s %s", self.request.method, self.request.path, exc_info=(typ, value, tb))

    def row(self, cutout_id: str) -> int:
        """Return a cutout's row, or answer 404."""
        try:
            return self.survey.row_of(cutout_id)
        except RequestError:
            raise HTTPError(404, reason="no such cutout") from None

    def query(self, model: type[M]) -> M:
        """Return the query's parameters, checked, or answer 400."""
        try:
            given = {k: v[0].decode("ascii") for k, v in self.request.query_arguments.items() if len(v) == 1}
            if len(given) != len(self.request.query_arguments):
                raise HTTPError(400, reason="a parameter is given twice")
            return model.model_validate(given)
        except (ValidationError, UnicodeDecodeError):
            raise HTTPError(400, reason="parameters out of range") from None

    def body(self, model: type[M]) -> M:
        """Return the JSON body, checked, or answer 4xx."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPError(415, reason="the body must be application/json")
        try:
            return model.model_validate_json(self.request.body)
        except ValidationError:
            raise HTTPError(422, reason="the body is not as agreed") from None

    async def apart(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do work in a thread; what the user can mend becomes 404 or 422."""
        call = functools.partial(work, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, call)
        except RequestError as error:
            log.warning("%s", error)
            raise HTTPError(422, reason="this can't be made; the terminal says why") from None
        except (SkysiftError, OSError) as error:
            log.warning("%s", error)
            raise HTTPError(422, reason="the data can't be read; the terminal says why") from None

    def attach(self, data: bytes, name: str, kind: str) -> None:
        """Send a file."""
        self.set_header("Content-Type", kind)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(data)


class Thumbnail(Handler):
    """`GET /thumbnail/ID.png?size=&stretch=&contrast=&cmap=`."""

    async def get(self, cutout_id: str) -> None:
        """Send a PNG; the browser keeps it for a day, as a cutout's pixels never change."""
        look, row = self.query(Look), self.row(cutout_id)
        png = await self.apart(
            self.thumbnails.png,
            row,
            stretch=look.stretch,
            contrast=look.contrast,
            colour_map=look.cmap,
            size=look.size,
        )
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", "private, max-age=86400, immutable")
        self.finish(png)


class Surroundings(Handler):
    """`GET /context/ID.png?zoom=&size=&stretch=&contrast=&cmap=`: the mosaic around a cutout."""

    async def get(self, cutout_id: str) -> None:
        """Send a PNG; 422 where there is nothing around."""
        from skysift.app.detail.context import surroundings
        from skysift.app.detail.place import Place

        look, row = self.query(Wide), self.row(cutout_id)

        def make() -> bytes:
            image = surroundings(self.survey, Place.of(self.survey, row), look.zoom)
            return png_bytes(image, stretch=look.stretch, contrast=look.contrast, colour_map=look.cmap, size=look.size)

        png = await self.apart(make)
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", "private, max-age=86400, immutable")
        self.finish(png)


class Cutout(Handler):
    """`GET /cutout/ID.fits`."""

    async def get(self, cutout_id: str) -> None:
        """Send a FITS file."""
        from skysift.app.detail.files import fits_bytes

        data = await self.apart(fits_bytes, self.survey, self.row(cutout_id))
        self.attach(data, f"{cutout_id}.fits", "application/fits")


class Region(Handler):
    """`GET /region/ID.reg`."""

    async def get(self, cutout_id: str) -> None:
        """Send a region file of DS9."""
        from skysift.app.detail.files import regions

        text = await self.apart(regions, self.survey, [self.row(cutout_id)])
        self.attach(text.encode(), f"{cutout_id}.reg", "text/plain; charset=utf-8")


class Export(Handler):
    """`GET /export/cutouts.csv?VIEW`, with the query of a view; `POST` with JSON `{"cutout_ids": [...]}`."""

    async def get(self, form: str) -> None:
        """Send a table (csv, parquet, vot), FITS files (zip) or regions (reg) of what a view shows."""
        from skysift.app.session import Session

        def make() -> bytes:
            session = Session(self.survey)
            session.from_url(self.request.query)
            if session.message is not None:
                raise RequestError(session.message[1])
            return _export(self.survey, session.shown(), form)

        self.attach(await self.apart(make), f"cutouts.{form}", "application/octet-stream")

    async def post(self, form: str) -> None:
        """Send the same of chosen cutouts."""
        rows = self.survey.rows_of(self.body(Wanted).cutout_ids)
        if (rows < 0).any():
            raise HTTPError(404, reason="no such cutout")
        data = await self.apart(_export, self.survey, rows, form)
        self.attach(data, f"cutouts.{form}", "application/octet-stream")


class Rate(Handler):
    """`POST /rating` with JSON."""

    async def post(self) -> None:
        """Add ratings; answer how many."""
        judged = self.body(Judged)
        rows = self.survey.rows_of(judged.cutout_ids)
        if (rows < 0).any():
            raise HTTPError(404, reason="no such cutout")

        def rate() -> int:
            from skysift.app.session import Session

            session = Session(self.survey, user=judged.user)
            given = judged.model_dump(include={"judgement", "score", "tags", "comment", "model"})
            return session.rate(rows.tolist(), **given)

        self.finish({"rated": await self.apart(rate)})


@stream_request_body
class Uploaded(Handler):
    """`POST /upload?name=FILE.safetensors`: a checkpoint for the screen "Runs", piece by piece to the disk."""

    upload: Upload | None = None

    def prepare(self) -> None:
        """Check what is announced before any of it is taken."""
        if self.request.headers.get("Content-Type", "") != "application/octet-stream":
            raise HTTPError(415, reason="the body must be application/octet-stream")
        names = self.request.query_arguments.get("name", [])
        announced = self.request.headers.get("Content-Length", "")
        if len(names) != 1 or not announced.isdecimal():
            raise HTTPError(400, reason="name and length are needed")
        self.request.connection.set_max_body_size(MOST_BYTES)
        try:
            self.upload = Upload(self.survey.store, names[0].decode("utf-8", "replace"), int(announced))
        except RequestError as error:
            raise HTTPError(422, reason=str(error).replace("\n", " ")) from None
        except OSError as error:
            raise HTTPError(422, reason=f"the store can't be written to ({error.strerror})") from None

    def data_received(self, chunk: bytes) -> None:
        """Take a piece."""
        if self.upload is not None:
            self.upload.write(chunk)

    def post(self) -> None:
        """Put the whole file in its place."""
        assert self.upload is not None
        upload, self.upload = self.upload, None
        try:
            self.finish({"file": upload.finish()})
        except RequestError as error:
            raise HTTPError(422, reason=str(error)) from None
        except FileExistsError:
            raise HTTPError(422, reason="a file of that name is there already") from None

    def on_finish(self) -> None:
        """Forget what did not arrive whole."""
        self.on_connection_close()

    def on_connection_close(self) -> None:
        """Forget what broke off."""
        if self.upload is not None:
            self.upload.abandon()
            self.upload = None


def patterns(survey: Survey) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return the routes, without prefix."""

    def read(row: int) -> Any:
        return np.asarray(survey.pixels.read([row])[0], np.float32)

    shared = {
        "survey": survey,
        "pool": ThreadPoolExecutor(THREADS, thread_name_prefix="skysift-api"),
        "thumbnails": Thumbnails(read),
    }
    forms = "|".join((*FORMATS, "zip", "reg"))
    return [
        (r"/assets/([\w.-]+)", StaticFileHandler, {"path": str(ASSETS)}),
        (rf"/thumbnail/{ID}\.png", Thumbnail, shared),
        (rf"/context/{ID}\.png", Surroundings, shared),
        (rf"/cutout/{ID}\.fits", Cutout, shared),
        (rf"/region/{ID}\.reg", Region, shared),
        (rf"/export/cutouts\.({forms})", Export, shared),
        (r"/rating", Rate, shared),
        (r"/upload", Uploaded, shared),
    ]


def _export(survey: Survey, rows: Any, form: str) -> bytes:
    from skysift.app.detail.files import fits_zip, regions
    from skysift.app.gallery.export import table_bytes

    if form == "zip":
        return fits_zip(survey, rows.tolist())
    if form == "reg":
        return regions(survey, rows.tolist()).encode()
    return table_bytes(survey, rows, FORMATS[form])
