"""The screen "Runs": artifacts, lineage, commands, and taking in a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from live import LiveApp
from safetensors.numpy import save

from skysift.app.runs import facts, taking_in
from skysift.errors import RequestError
from skysift.store.store import Store


def test_artifacts_are_listed_newest_first(small_store):
    entries = facts.listed(small_store.store)
    assert {e["id"] for e in entries} == {a.id for a in small_store.store.artifacts()}
    assert [e["created"] for e in entries] == sorted((e["created"] for e in entries), reverse=True)
    entry = next(e for e in entries if e["id"] == small_store.subsample.id)
    assert (entry["kind"], entry["name"], entry["rows"]) == ("subsample", "balanced", 60)


def test_a_damaged_artifact_is_listed_and_nothing_breaks(own_store, small_store):
    store = Store(own_store)
    (own_store / "projection" / small_store.projection.id / "manifest.json").write_text("{")
    entry = next(e for e in facts.listed(store) if e["id"] == small_store.projection.id)
    assert entry["size_text"] == "damaged"
    with pytest.raises(Exception, match="damaged"):
        facts.about(store, small_store.projection.id)
    assert facts.sections(store, small_store.clusters.id)


def test_what_is_said_about_one(small_store):
    about = facts.about(small_store.store, small_store.subsample.id)
    assert about["title"] == "balanced"
    assert ["target_size", "60"] in about["options"]
    found = {s["title"]: s["blocks"] for s in facts.sections(small_store.store, small_store.subsample.id)}
    (drawing,) = found["Lineage"]
    for artifact in (small_store.cutouts, small_store.features, small_store.clusters):
        assert artifact.kind in drawing["svg"]
    (code,) = found["Make it again"]
    assert "skysift subsample --clusters" in code["text"]
    assert "--target-size 60" in code["text"]
    json.dumps(found)


def test_only_files_of_the_folder_are_taken_in(own_store, tmp_path):
    store = Store(own_store)
    assert taking_in.files(store) == []
    folder = own_store / "imports"
    folder.mkdir()
    (folder / "good.safetensors").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    (folder / ".hidden.pt").write_bytes(b"x")
    outside = tmp_path / "outside.pt"
    outside.write_bytes(b"x")
    (folder / "link.pt").symlink_to(outside)
    assert taking_in.files(store) == ["good.safetensors"]
    for wrong in ("../outside.pt", "link.pt", str(outside), "notes.txt", ".hidden.pt", "", "good.safetensors/../x"):
        with pytest.raises(RequestError, match="no checkpoint"):
            taking_in.path_of(store, wrong)
    with pytest.raises(RequestError, match="backbone"):
        taking_in.take_in(store, {"file": "good.safetensors", "backbone": "../x"})
    with pytest.raises(RequestError, match="path"):
        taking_in.take_in(store, {"file": "good.safetensors", "path": "/etc"})


def upload(app: LiveApp, name: str, body: bytes, **kwargs):
    headers = {"Content-Type": "application/octet-stream"} | kwargs.pop("headers", {})
    return app.request(f"/sky/upload?name={name}", "POST", body=body, headers=headers, **kwargs)


def test_uploads(live_app):
    weights = save({"a": np.arange(300_000, dtype=np.float32)})
    assert len(weights) > 2**20
    answer = upload(live_app, "w-1.safetensors", weights)
    assert (answer.status, json.loads(answer.body)) == (200, {"file": "w-1.safetensors"})
    assert upload(live_app, "w-1.safetensors", weights[:100]).status == 422
    for name in ("..%2fx.safetensors", "x.pt", ".x.safetensors", "a%00.safetensors", "x" * 200 + ".safetensors", ""):
        assert upload(live_app, name, weights[:100]).status in (400, 422), name
    assert upload(live_app, "w2.safetensors", b"\x80\x04 no safetensors").status == 422
    assert upload(live_app, "w3.safetensors", weights[:100], origin="http://evil.example.org").status == 403
    assert upload(live_app, "w4.safetensors", b"{}", headers={"Content-Type": "text/plain"}).status == 415
    assert upload(live_app, "w5.safetensors", b"", headers={"Content-Length": str(2**40)}).status in (400, 413, 422)
