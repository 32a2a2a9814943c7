"""Sending to a real SAMP hub on the loopback interface."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from astropy.io import fits

from skysift.app import samp
from skysift.app.detail.files import fits_bytes
from skysift.app.gallery.export import table_bytes
from skysift.errors import RequestError

ASTROPY = samp.protocol()


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'hub.lock').as_uri()}")
    monkeypatch.setenv("HOME", str(tmp_path))
    with ASTROPY.conf.set_temp("use_internet", False):
        yield tmp_path / "hub.lock"


@pytest.fixture
def hub(no_hub):
    server = ASTROPY.SAMPHubServer(web_profile=False, addr="127.0.0.1", lockfile=str(no_hub), secret="for the test")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def receiver(hub):
    """A program that takes images, and what it got."""
    client = ASTROPY.SAMPIntegratedClient(name="receiver", addr="127.0.0.1")
    client.connect(hub=hub)
    got, came = [], threading.Event()

    def receive(private_key, sender_id, mtype, params, extra):
        got.append((mtype, params))
        came.set()

    client.bind_receive_notification("image.load.fits", receive)
    yield got, came
    client.disconnect()


@pytest.fixture
def sender():
    made = samp.Sender()
    yield made
    made.close()


def test_an_image_arrives(receiver, sender, survey):
    got, came = receiver
    data = fits_bytes(survey, 7)
    assert sender.send(data, name="cutout ../7") == 1
    assert came.wait(20)
    mtype, params = got[0]
    assert mtype == "image.load.fits"
    assert params["name"] == "cutout ../7"
    path = Path(unquote(urlsplit(params["url"]).path))
    assert urlsplit(params["url"]).scheme == "file"
    assert path.name == "cutout-..-7.fits"
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    np.testing.assert_array_equal(fits.getdata(path), survey.pixels.read([7])[0])
    sender.close()
    assert not path.exists()


def test_tables_go_to_who_takes_tables(receiver, sender, survey):
    with pytest.raises(RequestError, match="takes tables"):
        sender.send(table_bytes(survey, np.arange(3), "votable"), name="three", suffix=".vot")


def test_nobody_listens(hub, sender):
    with pytest.raises(RequestError, match="takes images"):
        sender.send(b"x", name="x")


def test_no_hub_is_running(no_hub, sender):
    with pytest.raises(RequestError, match="No SAMP hub is running"):
        sender.send(b"x", name="x")


def test_only_the_latest_files_stay(receiver, sender, monkeypatch):
    monkeypatch.setattr(samp, "KEPT", 3)
    for number in range(5):
        sender.send(b"x", name=f"file {number}")
    assert sorted(path.name for path in sender._folder.iterdir()) == [f"file-{n}.fits" for n in (2, 3, 4)]
