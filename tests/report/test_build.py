"""The page as a whole: self-contained, complete, escaped, the same twice."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from skysift.errors import RequestError, SkysiftError
from skysift.report import build_report
from skysift.report.build import SECTIONS
from skysift.report.figures import style
from skysift.store.progress import Progress
from skysift.store.store import Store

ALL = ["lineage", "footprint", "selection", "clusters", "training", "embedding", "evaluation", "reproduce", "versions"]
VOID = {"meta", "link", "img", "br", "path", "rect"}


class Page(HTMLParser):
    """Collects tags, checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module", autouse=True)
def _coarse():
    """Figures of few pixels: what is asserted here does not depend on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def page(chain, tmp_path_factory):
    out = build_report(chain.store, chain.evaluation.id, tmp_path_factory.mktemp("out") / "sub" / "report.html")
    return out.read_text()


def test_every_section_is_there(page):
    parsed = Page(page)
    assert [s["id"] for s in parsed.all("section")] == ALL
    assert [a["href"] for a in parsed.all("a")] == [f"#{key}" for key in ALL]
    assert parsed.text.count("best-score") >= 3
    assert "evaluation best-score" in parsed.text


def test_nothing_is_loaded_from_elsewhere(page):
    parsed = Page(page)
    assert not parsed.all("script")
    for _, attrs in parsed.found:
        for name in ("src", "href", "data", "action", "srcset"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (name, value)
    assert not re.search(r"url\(|@import|https?://", page)


def test_figures_are_png_with_words(page):
    images = Page(page).all("img")
    assert len(images) == 10
    for image in images:
        assert base64.b64decode(image["src"].split(",", 1)[1]).startswith(b"\x89PNG\r\n")
        assert len(image["alt"]) > 10


def test_texts_are_escaped(page):
    assert "<i>very" not in page
    assert "&lt;i&gt;very&lt;/i&gt; &amp; $bright$" in page
    assert "timm:fake<b>" not in page


def test_a_hostile_name_stays_text(chain, tmp_path):
    shutil.copytree(chain.store.root, tmp_path / "store")
    store = Store(tmp_path / "store")
    (store.root / "names.json").write_text(json.dumps({"<script>alert(1)</script>": chain.evaluation.id}))
    text = build_report(store, chain.evaluation.id, tmp_path / "r.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_equal_reports_are_equal(chain, page, tmp_path):
    assert build_report(chain.store, "best-score", tmp_path / "again.html").read_text() == page


@pytest.mark.parametrize("which", ["cutouts", "subsample"])
def test_relatives_are_shown_from_anywhere_in_the_family(chain, tmp_path, which):
    text = build_report(chain.store, getattr(chain, which).id, tmp_path / "r.html").read_text()
    assert {s["id"] for s in Page(text).all("section")} == set(ALL)


def test_what_is_not_there_is_left_out(chain, tmp_path):
    from skysift.cutouts.stages import Cutouts

    store = Store(tmp_path / "store")
    only = store.run(Cutouts(mosaics=(str(chain.mosaics[0]),), window_size=(64,), positions="ignore"))
    folder = tmp_path / "reports"
    folder.mkdir()
    out = build_report(store, only.id[:10], folder)
    assert out == folder / f"report-cutouts-{only.id[:12]}.html"
    assert list(folder.iterdir()) == [out]
    parsed = Page(out.read_text())
    assert [s["id"] for s in parsed.all("section")] == ["lineage", "footprint", "selection", "reproduce", "versions"]
    assert "have no position on the sky" in parsed.text
    assert not parsed.all("img")


def test_moved_mosaics_cost_the_samples_not_the_report(chain, tmp_path):
    shutil.copytree(chain.store.root, tmp_path / "store")
    store = Store(tmp_path / "store")
    (store.root / "sources.json").write_text("{}")
    text = build_report(store, chain.clusters.id, tmp_path / "r.html").read_text()
    assert "No sample cutouts: The source file with fingerprint" in text
    assert len(Page(text).all("img")) == 9


def test_bad_requests(chain, tmp_path):
    with pytest.raises(RequestError, match="No artifact"):
        build_report(chain.store, "0" * 32, tmp_path / "r.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(SkysiftError, match="can't be written"):
        build_report(chain.store, chain.cutouts.id, tmp_path / "file" / "r.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_progress_is_counted(chain, tmp_path):
    progress = Progress(quiet=True)
    build_report(chain.store, chain.cutouts.id, tmp_path / "r.html", progress=progress)
    assert [(r["label"], r["steps"]) for r in progress.history] == [("report", len(SECTIONS))]
