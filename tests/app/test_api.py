"""What the page fetches: pictures, files, tables, and ratings by JSON."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from live import Answer, LiveApp
from PIL import Image

from skysift.app.survey import Survey


@pytest.fixture(scope="module")
def shown(small_store) -> Survey:
    """The same cutouts as the live app's."""
    return Survey(small_store.store, ledger="/dev/null/no-ledger-is-needed")


def post(app: LiveApp, path: str, body: Any, kind: str = "application/json", **kwargs: Any) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.request(f"/sky{path}", "POST", body=data, headers={"Content-Type": kind}, **kwargs)


def test_thumbnails(live_app, shown):
    row = 7
    answer = live_app.request(f"/sky/thumbnail/{shown.ids[row]}.png?size=64&stretch=linear&cmap=gray")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
    picture = np.asarray(Image.open(io.BytesIO(answer.body)).convert("L"), float)
    assert picture.shape == (64, 64)
    pixels = np.asarray(shown.pixels.read([row])[0])
    y, x = np.unravel_index(np.nanargmax(pixels), pixels.shape)
    assert picture[63 - 2 * y - 1 : 63 - 2 * y + 1, 2 * x : 2 * x + 2].max() == picture.max()  # FITS rows go upwards


LOOKS = ("size=513", "size=1e9", "size=-1", "size=", "size=64&size=65", "size=%00", "size=%ff", "contrast=nan")


@pytest.mark.parametrize("query", [*LOOKS, "contrast=0", "stretch=x", "cmap=jet", "page=1"])
def test_wrong_looks_are_refused(live_app, shown, query):
    answer = live_app.request(f"/sky/thumbnail/{shown.ids[0]}.png?{query}")
    assert answer.status == 400
    assert answer.body in (b"400 parameters out of range\n", b"400 a parameter is given twice\n")


def test_files_of_one_cutout(live_app, shown):
    row = 11
    answer = live_app.request(f"/sky/cutout/{shown.ids[row]}.fits")
    assert answer.headers["content-disposition"] == f'attachment; filename="{shown.ids[row]}.fits"'
    with fits.open(io.BytesIO(answer.body)) as opened:
        np.testing.assert_array_equal(opened[0].data, np.asarray(shown.pixels.read([row])[0]))
        header = opened[0].header
        ra, dec = WCS(header).celestial.pixel_to_world_values((header["NAXIS1"] - 1) / 2, (header["NAXIS2"] - 1) / 2)
    assert float(ra) == pytest.approx(shown.columns["ra"][row], abs=1e-6)
    assert float(dec) == pytest.approx(shown.columns["dec"][row], abs=1e-6)
    region = live_app.request(f"/sky/region/{shown.ids[row]}.reg").body.decode()
    assert region.startswith("# Region file format: DS9")
    assert str(shown.ids[row]) in region


def test_export_of_a_view(live_app, shown):
    peak = shown.columns["peak"]
    low = float(np.sort(peak)[-6]) * 0.999999
    query = f'sort=peak&filters={{"peak":[{low},null]}}'.replace('"', "%22")
    rows = list(csv.DictReader(io.StringIO(live_app.request(f"/sky/export/cutouts.csv?{query}").body.decode())))
    assert [row["cutout_id"] for row in rows] == shown.ids[np.argsort(-peak, kind="stable")[:6]].tolist()
    table = pq.read_table(io.BytesIO(live_app.request(f"/sky/export/cutouts.parquet?{query}").body))
    assert table.num_rows == 6
    assert b"VOTABLE" in live_app.request(f"/sky/export/cutouts.vot?{query}").body


def test_export_of_chosen_cutouts(live_app, shown):
    ids = shown.ids[[9, 2]].tolist()
    answer = post(live_app, "/export/cutouts.zip", {"cutout_ids": ids})
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == [f"{i}.fits" for i in ids]
    assert post(live_app, "/export/cutouts.exe", {"cutout_ids": ids}).status == 404
    assert post(live_app, "/export/cutouts.csv", {"cutout_ids": []}).status == 422
    assert post(live_app, "/export/cutouts.csv", {"cutout_ids": ["f" * 16]}).status == 404


def test_ratings(live_app, shown):
    ids = shown.ids[[3, 4]].tolist()
    rating = {"cutout_ids": ids, "user": "api", "judgement": "interesting", "score": 5, "tags": ["ring"]}
    answer = post(live_app, "/rating", rating | {"comment": "S/N < 3 & odd; é"})
    assert json.loads(answer.body) == {"rated": 2}
    table = live_app.request('/sky/export/cutouts.csv?filters={"rating:%20score":[5,5]}'.replace('"', "%22")).body
    assert {row["cutout_id"] for row in csv.DictReader(io.StringIO(table.decode()))} == set(ids)


WRONG: list[dict[str, Any]] = [
    {"cutout_ids": ["../../etc/passwd"]},
    {"cutout_ids": []},
    {"cutout_ids": "x"},
    {"score": 6},
    {"score": "5"},
    {"score": 2.5},
    {"judgement": "lovely"},
    {"user": ""},
    {"user": "x" * 65},
    {"user": None},
    {"comment": "<script>alert(1)</script>"},
    {"comment": "x" * 4001},
    {"comment": "</textarea>"},
    {"comment": "\u0000"},
    {"tags": ["<img src=x onerror=alert(1)>"]},
    {"tags": ["x"] * 17},
    {"path": "/etc/passwd"},
]


@pytest.mark.parametrize(
    "wrong", WRONG, ids=lambda wrong: f"{next(iter(wrong))}-{str(next(iter(wrong.values())))[:12]}"
)
def test_wrong_ratings_are_refused(live_app, shown, wrong):
    body = {"cutout_ids": [str(shown.ids[0])], "user": "api", "score": 3} | wrong
    answer = post(live_app, "/rating", body)
    assert answer.status == 422
    assert answer.body == b"422 the body is not as agreed\n"


def test_forged_requests_are_refused(live_app, shown):
    body = {"cutout_ids": [str(shown.ids[0])], "user": "mallory", "score": 3}
    assert post(live_app, "/rating", body, origin="http://evil.example.org").status == 403
    assert post(live_app, "/rating", body, origin=None).status == 403
    assert post(live_app, "/rating", body, origin="null").status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert post(live_app, "/rating", body, kind=kind).status in (400, 415)
    assert post(live_app, "/rating", body, cookie=False).status == 403
    assert post(live_app, "/rating", b"{" * 100).status == 422
    assert post(live_app, "/rating", b"[" * 200_000).status == 422


def test_ids_that_lead_elsewhere(live_app, small_store):
    for path in (
        "/sky/thumbnail/../../etc/passwd",
        "/sky/cutout/%2e%2e%2f%2e%2e%2fetc%2fpasswd.fits",
        "/sky/assets/../server.py",
        "/sky/assets/..%2fserver.py",
        "/sky/static/../../../server.py",
        "/sky/static/%2e%2e/%2e%2e/server.py",
        "/sky/static/js/",
        "/sky/components/skysift.app.shell/Frame/_esm/../../server.py",
        "/sky/components/os/path/x/etc/passwd",
        f"/sky/{small_store.store.root}/store.json",
        "/sky//etc/passwd",
    ):
        answer = live_app.request(path)
        assert 400 <= answer.status < 500, path
        assert b"def " not in answer.body
        assert str(Path("/etc")).encode() not in answer.body
