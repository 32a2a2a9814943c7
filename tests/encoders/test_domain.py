"""What an encoder knows of its training set, and when it warns of other skies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skysift.cutouts.catalogue import Catalogue, table_of
from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids
from skysift.cutouts.stages import Cutouts
from skysift.encoders.domain import (
    CHECKS,
    domain_notes,
    measure_domain,
    outside_domain,
    outside_domain_of,
    read_domain,
    write_domain,
)
from skysift.errors import SkysiftError
from skysift.features.stages import Features
from skysift.sky.simulate import SurveyConfig, simulate
from skysift.ssl.stages import Train
from skysift.store import Artifact, Store

SKY: dict[str, Any] = {"mosaics": 2, "size": 320, "frames_per_class": 0}
SKIES: dict[str, dict[str, Any]] = {
    "train": {"seed": 1},
    "same": {"seed": 2},
    "blurred": {"seed": 2, "bmaj": 24.0, "bmin": 19.0},
    "noisy": {"seed": 2, "rms": 1.2e-4},
}


def catalogue(
    mosaics: int = 5,
    each: int = 40,
    *,
    seed: int = 0,
    side: int = 64,
    noise: float = 2e-5,
    beam: float | None = 3.0,
    unit: str | None = "Jy/beam",
    peaks: float = 20.0,
) -> Catalogue:
    """Cutouts of equal mosaics: 2 arcsec pixels, 10 % scatter of noise and a factor of two of S/N around 20."""
    rng = np.random.Generator(np.random.PCG64(seed))
    names = [f"{seed:02d}{number:030d}" for number in range(mosaics)]
    rows = mosaics * each
    windows = np.tile([0, 0, side, side], (rows, 1))
    columns: dict[str, Any] = {
        "cutout_id": cutout_ids("ab", 0, np.arange(rows), windows),
        "mosaic": np.repeat(names, each),
        "hdu": np.zeros(rows, int),
        "plane": np.zeros(rows, int),
        **dict(zip(("x0", "y0", "width", "height"), windows.T, strict=True)),
        "rms": noise * np.exp(rng.normal(0, 0.1, rows)),
        "snr": peaks * np.exp(rng.normal(0, 0.7, rows)),
    }
    import pyarrow as pa

    columns["mosaic"] = pa.array(columns["mosaic"]).dictionary_encode()
    pixel = {"ny": side, "nx": side, "pixel_scale": 2.0, "bmaj": None if beam is None else beam * 2 / 3600}
    table = [{"mosaic": n, "format": "fits", "hdu": 0, "plane": 0, "bunit": unit, **pixel} for n in names]
    return Catalogue(table_of(columns, rows), pa.Table.from_pylist(table, schema=MOSAIC_SCHEMA))


def test_numbers_are_those_of_the_catalogue() -> None:
    found = measure_domain(catalogue(), image_size=224)
    assert found.beam_in_mosaic is not None
    assert found.beam is not None
    assert found.pixel_scale is not None
    assert found.noise is not None
    assert (found.cutouts, found.mosaics, found.unit) == (200, 5, "Jy/beam")
    assert found.beam_in_mosaic.median == pytest.approx(3.0)
    assert found.beam.median == pytest.approx(3.0 * 224 / 64)  # the resize makes the beam wider in pixels
    assert found.pixel_scale.median == pytest.approx(2.0 * 64 / 224, rel=1e-5)
    rms = catalogue().column("rms").astype(float)
    assert found.noise.median == pytest.approx(np.median(rms), rel=1e-5)
    assert found.noise.low == pytest.approx(np.quantile(rms, 0.025), rel=1e-5)
    assert found.noise.within == pytest.approx(0.1, rel=0.15)
    assert found.noise.error(2, 1) == pytest.approx(np.hypot(found.noise.between, 1.2533 * found.noise.within))


@pytest.mark.parametrize(
    ("options", "clause"),
    [
        ({}, None),
        ({"beam": 6.0}, r"the beam is 2\.0 times as large \(21 instead of 10\.5 pixels of the images\)$"),
        ({"beam": 4.0}, None),
        ({"noise": 6e-5}, r"the noise is (2\.[7-9]|3\.[0-3]) times as high"),
        ({"noise": 1 / 1.5e5}, r"the noise is (2\.[7-9]|3\.[0-3]) times as low"),
        ({"noise": 2e-2, "unit": "mJy/beam"}, None),  # the same noise in another unit
        ({"noise": 60, "unit": "uJy beam-1"}, r"the noise is (2\.[7-9]|3\.[0-3]) times as high"),
        ({"peaks": 60.0}, None),  # within the range of the training set
        ({"peaks": 240.0}, "peaks over noise are [12][0-9]\\.[0-9] times as high"),
        ({"noise": 60, "unit": "K"}, None),  # no such unit in the training set
        ({"noise": 60, "unit": None, "beam": None}, None),
        (
            {"side": 128, "beam": 3.0},
            r"the beam is 2\.0 times as small \(5\.25 instead of 10\.5 pixels of the images\); the pixels are 2\.0",
        ),
    ],
)
@pytest.mark.parametrize("count", [5, 200])
def test_what_is_told(options: dict[str, Any], clause: str | None, count: int) -> None:
    known = measure_domain(catalogue(), image_size=224)
    new = catalogue(seed=1, **options)
    told = known.unlike(measure_domain(new.select(np.arange(count) * (200 // count)), image_size=224))
    assert told is None if clause is None else re.match(clause, str(told)), told


def test_small_sets_and_what_is_not_known(tmp_path: Path) -> None:
    known = measure_domain(catalogue(beam=None), image_size=224)
    assert known.beam is None
    assert domain_notes(known)["Beam"] == "not known, so new data are not checked for it"
    assert domain_notes(known)["Noise"].startswith("2.01e-05 Jy/beam (central 95 %: 1.65e-05 to ")
    one = catalogue(seed=1, noise=6e-5).select([0])
    assert "the noise is" in str(known.unlike(measure_domain(one, 224)))
    write_domain(known, tmp_path)
    assert read_domain(tmp_path) == known
    assert outside_domain(tmp_path, catalogue(seed=1).select([])) is None
    assert outside_domain(tmp_path / "elsewhere", catalogue(beam=9.0)) is None
    (tmp_path / "domain.json").write_text('{"format": 2}')
    with pytest.raises(SkysiftError, match=r"domain\.json: no description of a training set"):
        read_domain(tmp_path)


def test_a_training_set_of_many_scales_covers_each_of_them() -> None:
    sizes = (64, 128, 256)
    known = measure_domain(Catalogue.concat([catalogue(seed=s, side=s) for s in sizes]), image_size=224)
    for side in sizes:
        assert known.unlike(measure_domain(catalogue(seed=9, side=side), image_size=224)) is None
    assert "times as large" in str(known.unlike(measure_domain(catalogue(seed=9, side=16), image_size=224)))


@pytest.fixture(scope="module")
def skies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, Artifact]]:
    root = tmp_path_factory.mktemp("skies")
    store, found = Store(root / "store"), {}
    for name, options in SKIES.items():
        simulate(root / name, SurveyConfig.preset("tiny", **SKY, **options))
        found[name] = store.run(Cutouts(mosaics=str(root / name / "mosaics"), window_size=64))
    return store, found


@pytest.mark.slow
def test_false_alarms_are_below_one_in_a_hundred(skies: tuple[Store, dict[str, Artifact]]) -> None:
    sets = {name: Catalogue.open(artifact) for name, artifact in skies[1].items()}
    known = measure_domain(sets["train"], image_size=64)
    rng = np.random.Generator(np.random.PCG64(5))
    draws = [(n, rng.choice(len(sets["same"]), n, replace=False)) for n in (1, 3, 10, 30, 100) for _ in range(80)]
    alarms = {check.name: 0 for check in CHECKS}
    caught = {"blurred": 0, "noisy": 0}
    for count, rows in draws:
        new = measure_domain(sets["same"].select(rows), image_size=64)
        for check in CHECKS:
            alone = known.model_copy(update={c.name: None for c in CHECKS if c != check})
            alarms[check.name] += alone.unlike(new) is not None
        for name in caught:
            told = known.unlike(measure_domain(sets[name].select(rows), image_size=64)) or ""
            caught[name] += ("beam is" if name == "blurred" else "noise is") in told and (
                count >= 30 or name == "blurred"
            )
    assert all(count < 0.01 * len(draws) for count in alarms.values()), alarms
    assert caught == {"blurred": 400, "noisy": 160}  # noise from thirty cutouts on: it varies over a mosaic


@pytest.mark.slow
def test_a_trained_encoder_warns_and_its_card_says_what_it_knows(skies: tuple[Store, dict[str, Artifact]]) -> None:
    store, sets = skies
    options: dict[str, Any] = {"backbone": "test_resnet", "channels": 1, "image_size": 32, "batch_size": 16}
    model = store.run(Train(cutouts=sets["train"].id, epochs=1, threads=1, **options))
    domain = json.loads(model.path("domain.json").read_text())
    assert domain["beam"]["median"] == pytest.approx(12 / 2.5 * 32 / 64)
    assert "| Beam | 2.4 pixels of the images |" in model.path("card.md").read_text()
    for name, clause in (("same", None), ("blurred", "the beam is 2.0 times as large"), ("noisy", "the noise is ")):
        features = store.run(Features(cutouts=sets[name].id, model=model.id))
        warnings = features.run["warnings"]
        assert len(warnings) == (clause is not None)
        assert clause is None or clause in warnings[0]
        assert outside_domain_of(features, Catalogue.open(features), store) == (warnings or [None])[0]
    untrained = Features(cutouts=sets["blurred"].id, model=model.id, weights="random")
    random = store.run(untrained)
    assert random.run["warnings"] == []
    assert outside_domain_of(random, Catalogue.open(random), store) is None
