"""Which labelled cutouts select, which are held out, and that the two share no sky."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import from_table, writeto
from astropy.table import Table

from skysift.discovery.selection.frames import DROPPED, HELD_OUT, SELECTION, classify, hold_out, read_frames
from skysift.errors import RequestError
from tests.discovery.selection.conftest import SIDE, apart, make_catalogue

RIGGI = {"interesting": ("EXTENDED", "DIFFUSE"), "ordinary": ("BACKGROUND", "COMPACT"), "parts": 2}


def test_kinds_of_cutouts_with_several_labels():
    labels = [
        ["COMPACT"],
        ["BACKGROUND", "COMPACT"],
        ["COMPACT", "DIFFUSE"],
        ["ARTEFACT", "EXTENDED"],
        ["COMPACT", "ARTEFACT"],
        ["RADIO-GALAXY"],
    ]
    assert classify(labels, RIGGI["interesting"], RIGGI["ordinary"]).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", ["csv", "parquet", "vot", "own"])
def test_labels_are_read_from_tables_and_from_the_catalogue(kind, tmp_path):
    labels = [["COMPACT"], ["COMPACT", "DIFFUSE"], [], ["EXTENDED"], ["ARTEFACT", "COMPACT"], ["BACKGROUND"]]
    catalogue = make_catalogue(apart(6), np.zeros(6, int), labels if kind == "own" else [[]] * 6)
    ids = catalogue.column("cutout_id").tolist()
    table = None
    if kind != "own":
        # another order, a cutout that is not ours, and several labels as one text (or as a list)
        order = [5, 4, 3, 1, 0]
        columns = {"cutout_id": [*(ids[i] for i in order), "f" * 16]}
        texts = [*(labels[i] for i in order), ["DIFFUSE"]]
        table = str(tmp_path / f"labels.{kind}")
        if kind == "parquet":
            pq.write_table(pa.table({**columns, "labels": texts}), table)
        elif kind == "csv":
            rows = [f'{i},"{", ".join(t)}"' for i, t in zip(columns["cutout_id"], texts, strict=True)]
            (tmp_path / "labels.csv").write_text("cutout_id,label\n" + "\n".join(rows) + "\n")
        else:
            writeto(from_table(Table({**columns, "label": [";".join(t) for t in texts]})), table)
    found = read_frames(catalogue, table, **RIGGI, seed=0)
    assert found.rows.tolist() == [0, 1, 3, 4, 5]
    assert found.labels == [labels[i] for i in (0, 1, 3, 4, 5)]
    assert found.kind.tolist() == [0, 1, 1, 2, 0]


def test_held_out_cutouts_share_no_sky_with_those_that_select():
    # two mosaics of half overlapping windows, and a third that shows the corner of the first once more
    grid = np.stack(np.meshgrid(np.arange(0, 640, 16), np.arange(0, 640, 16)), axis=-1).reshape(-1, 2)
    corner = grid[(grid < 200).all(axis=1)]
    windows = np.concatenate([grid, grid, corner])
    mosaic = np.repeat([0, 1, 2], [len(grid), len(grid), len(corner)])
    rng = np.random.default_rng(0)
    labels = [[["COMPACT"], ["DIFFUSE"], ["ARTEFACT"]][k] for k in rng.choice(3, len(windows), p=[0.6, 0.3, 0.1])]
    catalogue = make_catalogue(windows, mosaic, labels)
    place = catalogue.table.schema.get_field_index("ra")
    ra = np.where(mosaic == 2, 150 - (windows[:, 0] + SIDE / 2) * 2 / 3600, catalogue.column("ra"))
    catalogue = type(catalogue)(catalogue.table.set_column(place, "ra", pa.array(ra)), catalogue.mosaics)
    found = read_frames(catalogue, None, **RIGGI, seed=3)
    assert len(found) == len(windows)

    sky = np.where(mosaic == 2, 0, mosaic)  # in pixels both mosaics of that corner agree
    chosen, held = (np.flatnonzero(found.part == part) for part in (SELECTION, HELD_OUT))
    near = np.abs(windows[held][:, None] - windows[chosen][None]).max(axis=2) < SIDE
    assert not (near & (sky[held][:, None] == sky[chosen][None])).any()
    # of the dropped ones each shares some, so that nothing is dropped in vain
    dropped = np.flatnonzero(found.part == DROPPED)
    near = np.abs(windows[dropped][:, None] - windows[chosen][None]).max(axis=2) < SIDE
    assert (near & (sky[dropped][:, None] == sky[chosen][None])).any(axis=1).all()
    assert 0 < len(dropped) < 0.3 * len(found)
    assert len(held) > 0.25 * len(found)


def test_division_keeps_groups_whole_and_kinds_in_proportion():
    rng = np.random.default_rng(1)
    kind = rng.choice(3, 900, p=[0.7, 0.2, 0.1])
    group = rng.integers(0, 300, 900)
    held = hold_out(kind, group, 3, seed=7)
    assert not set(group[held]) & set(group[~held])
    for number in range(3):
        assert held[kind == number].mean() == pytest.approx(1 / 3, abs=0.04)
    assert np.array_equal(held, hold_out(kind, group, 3, seed=7))
    assert not np.array_equal(held, hold_out(kind, group, 3, seed=8))


def test_one_odd_cutout_of_neither_kind_does_not_limit_the_division():
    kind = np.array([0, 0, 0, 1, 1, 1, 2])
    assert hold_out(kind, np.arange(7), 3, seed=0).sum() in (2, 3)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([[]] * 4, {}, "give a table with --labels"),
        ([["A"], ["B"], ["A"], ["B"]], {}, "no labelled cutout is interesting .* there are A, B"),
        ([["DIFFUSE"], ["B"], ["DIFFUSE"], ["B"]], {}, "no labelled cutout is ordinary .*--ordinary"),
        ([["DIFFUSE"], ["COMPACT"], ["COMPACT"], []], {}, "interesting cutouts lie on 1 pieces of sky"),
        ([["DIFFUSE"], ["COMPACT"]] * 2, {"ordinary": ("COMPACT", "DIFFUSE")}, "DIFFUSE is among --interesting and"),
    ],
)
def test_labels_that_do_not_do(labels, options, message):
    with pytest.raises(RequestError, match=f"(?i){message}"):
        read_frames(make_catalogue(apart(4), np.zeros(4, int), labels), None, **{**RIGGI, **options}, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,DIFFUSE\n", "no columns cutout_id and label"),
        ("cutout_id,label\nffffffffffffffff,DIFFUSE\n", "labels none of these cutouts"),
    ],
)
def test_tables_that_do_not_do(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RequestError, match=message):
        read_frames(make_catalogue(apart(2), [0, 0], [[], []]), str(tmp_path / "t.csv"), **RIGGI, seed=0)
