"""Believable is measured: number counts, noise, flux, masks, positions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.stats import mad_std
from astropy.wcs import WCS
from scipy import integrate, signal

from skysift.sky.simulate import SurveyConfig, simulate, simulate_mosaic
from skysift.sky.simulate.beam import Beam
from skysift.sky.simulate.counts import differential_counts, draw_sizes, expected_counts
from skysift.sky.simulate.coverage import coverage
from skysift.sky.simulate.mosaic import SimulatedMosaic, sources_of, streams, survey_beam
from skysift.sky.simulate.noise import noise_field
from skysift.sky.simulate.render import paint_cloud
from skysift.sky.simulate.sources import MAKERS, draw_population, make_cloud

SILENT = {"rings": 0, "shells": 0, "diffuse": 0, "filaments": 0, "peculiar": 0, "artefact_level": 0, "seams": 0}
DEGREES2 = (180 / np.pi) ** 2


@pytest.fixture(scope="module")
def crowded() -> tuple[SurveyConfig, SimulatedMosaic]:
    config = SurveyConfig.preset(
        "tiny", seed=11, radio_galaxy_flux_min=5e-4, flux_min=5e-5, artefact_snr=20, artefact_level=0.3
    )
    return config, simulate_mosaic(config, 0)


def hopkins(flux: float) -> float:
    """Hopkins et al. 2003, written down once more: dN/dS [1/Jy/sr] at a flux in Jy."""
    x = np.log10(flux * 1e3)
    logs = 0.859 + 0.508 * x + 0.376 * x**2 - 0.049 * x**3 - 0.121 * x**4 + 0.057 * x**5 - 0.008 * x**6
    return 10**logs * flux**-2.5


def test_counts_formula() -> None:
    assert differential_counts(1e-3) * 1e-3**2.5 == pytest.approx(10**0.859)
    whole = integrate.quad(lambda s: np.exp(s) * hopkins(np.exp(s)), np.log(2e-4), np.log(0.5))[0]
    assert expected_counts(2e-4, 0.5) == pytest.approx(whole / DEGREES2, rel=1e-4)
    assert 700 < expected_counts(1e-4, 1) < 1600  # deep 1.4 GHz surveys see about a thousand per square degree


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_counts_are_the_published_ones_in_every_bin(fraction: float) -> None:
    side = 16_000
    config = SurveyConfig(seed=1, radio_galaxy_fraction=fraction, radio_galaxy_flux_min=0.05, size=side)
    rms = np.broadcast_to(np.float32(config.rms), (side, side))
    rng = np.random.Generator(np.random.PCG64(7))
    compacts, galaxies = draw_population(config, rng, rms, Beam(4.8, 3.8, 25))
    flux = np.concatenate([compacts.flux, [galaxy.flux for galaxy in galaxies]])
    area = (side * config.pixel_scale / 3600) ** 2
    edges = np.geomspace(1e-4, 0.3, 12)
    for low, high in pairwise(edges):
        expected = integrate.quad(lambda s: np.exp(s) * hopkins(np.exp(s)), np.log(low), np.log(high))[0]
        expected *= area / DEGREES2
        found = ((flux >= low) & (flux < high)).sum()
        assert expected > 90
        assert found == pytest.approx(expected, rel=0.2)
    assert bool(galaxies) == (fraction > 0)


@pytest.mark.slow
def test_truth_of_a_survey_has_the_published_counts() -> None:
    config = SurveyConfig.preset("survey", seed=5, artefact_level=0)
    flux, area = [], 0.0
    for index in range(2):
        made = simulate_mosaic(config, index)
        kinds = made.truth["class"].to_numpy(zero_copy_only=False).astype(str)
        flux.append(made.truth["integrated_flux"].to_numpy()[np.isin(kinds, ["compact", "fr1", "fr2", "wat", "nat"])])
        area += np.isfinite(made.image).sum() * (config.pixel_scale / 3600) ** 2
    edges = np.geomspace(1e-4, 0.1, 10)
    found = np.histogram(np.concatenate(flux), edges)[0]
    expected = [
        integrate.quad(lambda s: np.exp(s) * hopkins(np.exp(s)), np.log(a), np.log(b))[0] * area / DEGREES2
        for a, b in pairwise(edges)
    ]
    np.testing.assert_allclose(found, expected, rtol=0.2)


def test_sizes_have_the_published_median() -> None:
    sizes = draw_sizes(np.random.Generator(np.random.PCG64(0)), np.full(40_000, 1e-3))
    assert np.median(sizes) == pytest.approx(2.0, rel=0.03)


def gaussian(beam: Beam, half: int) -> np.ndarray:
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    angle = np.deg2rad(beam.pa)
    along, across = -x * np.sin(angle) + y * np.cos(angle), x * np.cos(angle) + y * np.sin(angle)
    return np.exp(-4 * np.log(2) * ((along / beam.major) ** 2 + (across / beam.minor) ** 2))


@pytest.mark.parametrize("natural", [False, True])
def test_noise_correlates_as_the_beam(natural: bool) -> None:
    beam = Beam(4.8, 3.8, 25)
    field = noise_field(np.random.Generator(np.random.PCG64(3)), (1500, 1500), beam, natural=natural).astype(float)
    assert field.std() == pytest.approx(1, abs=0.01)
    assert field.mean() == pytest.approx(0, abs=0.02)
    kernel = gaussian(beam, 12)
    expected = kernel if natural else signal.fftconvolve(kernel, kernel[::-1, ::-1], mode="same")
    expected /= expected[12, 12]
    n = 1500
    for dy in range(0, 9):
        for dx in range(-8, 9):
            a = field[dy:, max(0, dx) : n + min(0, dx)]
            b = field[: n - dy, max(0, -dx) : n - max(0, dx)]
            assert (a * b).mean() / (field**2).mean() == pytest.approx(expected[12 + dy, 12 + dx], abs=0.02)


def test_noise_of_a_mosaic_correlates_as_the_beam() -> None:
    config = SurveyConfig.preset("survey", size=1024, mosaics=1, pointings=2, flux_min=0.999, **SILENT)
    made = simulate_mosaic(config, 0)
    assert made.truth.num_rows == 0
    z = np.nan_to_num(made.image / made.rms).astype(float)
    valid = np.isfinite(made.image)
    beam = survey_beam(config)
    kernel = gaussian(beam, 12)
    expected = signal.fftconvolve(kernel, kernel[::-1, ::-1], mode="same")
    expected /= expected[12, 12]
    for dy, dx in ((0, 1), (1, 0), (2, 2), (3, 0), (0, 5), (6, 1)):
        both = valid[dy:, dx:] & valid[: 1024 - dy, : 1024 - dx]
        found = (z[dy:, dx:] * z[: 1024 - dy, : 1024 - dx])[both].mean() / (z[valid] ** 2).mean()
        assert found == pytest.approx(expected[12 + dy, 12 + dx], abs=0.02)


def test_noise_rises_towards_the_edge_and_is_what_the_map_says() -> None:
    config = SurveyConfig.preset("survey", size=1024, pointings=3, flux_min=0.999, **SILENT)
    made = simulate_mosaic(config, 0)
    z = made.image / made.rms
    assert mad_std(z, ignore_nan=True) == pytest.approx(1, abs=0.01)
    assert np.nanmin(made.rms) == pytest.approx(config.rms, rel=1e-3)
    inner = made.rms[400:624, 400:624]
    edge = np.nanmax(made.rms[512, :200])
    assert edge > 1.7 * inner.mean()
    assert mad_std(made.image[made.rms > 1.6 * config.rms]) > 1.5 * mad_std(made.image[made.rms < 1.1 * config.rms])
    assert np.isnan(made.image[:20]).all()
    assert (np.isnan(made.image) == np.isnan(made.rms)).all()


def test_seams_are_steps_between_tiles() -> None:
    config = SurveyConfig.preset("survey", size=512, pointings=2, seams=0.5)
    depth = coverage(config, survey_beam(config), streams(config, 0)["coverage"])
    inside = depth.offset[100:200, 100:200]
    assert np.ptp(inside) < 1e-3 * config.rms
    levels = [float(depth.offset[y, x]) for y in (130, 380) for x in (130, 380)]
    assert np.ptp(levels) > 0.1 * config.rms
    flat = coverage(config.model_copy(update={"seams": 0.0}), survey_beam(config), streams(config, 0)["coverage"])
    assert not flat.offset.any()


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("seed", range(3))
def test_flux_of_every_morphology_is_conserved(kind: str, seed: int) -> None:
    beam = Beam(4.8, 3.8, 25)
    rng = np.random.Generator(np.random.PCG64(seed))
    cloud = make_cloud(kind, rng, 60.0, beam)
    data, _, _ = paint_cloud(cloud, 100.3, 90.8, 0.0123, beam)
    assert data.sum() / beam.area == pytest.approx(0.0123, rel=1e-3)
    assert data.min() > -1e-3 * data.max()
    edges = np.concatenate([data[0], data[-1], data[:, 0], data[:, -1]])
    assert np.abs(edges).max() < 1e-3 * data.max()


def test_flux_of_a_mosaic_is_that_of_its_truth() -> None:
    config = SurveyConfig.preset(
        "tiny", size=800, rms=1e-9, seams=0, artefact_level=0, flux_min=1e-4, radio_galaxy_flux_min=1e-3, border=0.0,
        pointings=1, cutoff=0.001, primary_beam=60.0, rings=0, shells=0, diffuse=0, filaments=0, peculiar=0,
    )  # fmt: skip
    made = simulate_mosaic(config, 0)
    x, y = made.truth["x"].to_numpy(), made.truth["y"].to_numpy()
    margin = made.truth["angular_size"].to_numpy() / config.pixel_scale + 20
    assert made.truth.num_rows > 50
    inside = (np.minimum(x, y) > margin) & (np.maximum(x, y) < 799 - margin)
    lost = made.truth["integrated_flux"].to_numpy()[~inside].sum()
    total = np.nansum(made.image, dtype=float) / survey_beam(config).area
    flux = made.truth["integrated_flux"].to_numpy().sum()
    assert flux - lost <= total * 1.01
    assert total <= flux * 1.01
    if lost < 0.01 * flux:
        assert total == pytest.approx(flux, rel=0.01)
    # and each isolated bright source by its own aperture
    checked = 0
    for row in made.truth.to_pylist():
        far = np.hypot(x - row["x"], y - row["y"])
        reach = int(row["angular_size"] / config.pixel_scale + 14)
        if row["integrated_flux"] < 1e-3 or np.sort(far)[1] < 2.2 * reach:
            continue
        i, j = round(row["x"]), round(row["y"])
        if min(i, j) < reach or max(i, j) > 799 - reach:
            continue
        window = made.image[j - reach : j + reach + 1, i - reach : i + reach + 1]
        assert window.sum(dtype=float) / survey_beam(config).area == pytest.approx(row["integrated_flux"], rel=0.01)
        checked += 1
    assert checked >= 5


def test_masks_are_exactly_what_they_say(crowded: tuple[SurveyConfig, SimulatedMosaic]) -> None:
    config, made = crowded
    beam = survey_beam(config)
    compacts, resolved, rms = sources_of(config, 0)
    n = config.size
    brightest = np.zeros((n, n))
    expected = np.zeros((n, n), dtype=np.int32)
    y, x = np.mgrid[:n, :n]
    above_of: dict[int, np.ndarray] = {}

    def own(number: int, brightness: np.ndarray) -> None:
        above = brightness > 3 * np.nan_to_num(rms.astype(float), nan=np.inf)
        above_of[number] = above
        won = above & (brightness > brightest)
        brightest[won] = brightness[won]
        expected[won] = number

    for number, source in enumerate(resolved, start=1):
        data, x0, y0 = paint_cloud(source.cloud, source.x, source.y, source.flux, beam)
        full = np.zeros((3 * n, 3 * n))
        full[y0 + n : y0 + n + data.shape[0], x0 + n : x0 + n + data.shape[1]] = data
        own(number, full[n : 2 * n, n : 2 * n])
    for k in range(len(compacts)):
        # analytic: the beam and the source added in quadrature, evaluated on every pixel
        matrices = []
        shapes = ((beam.major, beam.minor, beam.pa), tuple(float(v[k]) for v in compacts.shape))
        for major, minor, pa in shapes:
            t = np.deg2rad(pa)
            turn = np.array([[-np.sin(t), np.cos(t)], [np.cos(t), np.sin(t)]])
            matrices.append(turn.T @ np.diag([major**2, minor**2]) @ turn / (8 * np.log(2)))
        both = matrices[0] + matrices[1]
        inverse = np.linalg.inv(both)
        dx, dy = x - compacts.x[k], y - compacts.y[k]
        exponent = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
        scale = np.sqrt(np.linalg.det(matrices[0]) / np.linalg.det(both))
        own(len(resolved) + k + 1, compacts.flux[k] * scale * np.exp(-0.5 * exponent))
    np.testing.assert_array_equal(made.mask, expected)
    assert (made.mask > 0).sum() > 500
    for row in made.truth.to_pylist():
        if row["class"] == "artefact":
            continue
        assert row["mask_pixels"] == (expected == row["id"]).sum()
        above = np.argwhere(above_of[row["id"]])
        if len(above):
            (top, left), (bottom, right) = above.min(axis=0), above.max(axis=0)
            box = (left, top, right - left + 1, bottom - top + 1)
            assert (row["box_x0"], row["box_y0"], row["box_width"], row["box_height"]) == box
        else:
            assert (row["box_x0"], row["box_width"]) == (-1, 0)


def test_bright_sources_have_artefacts(crowded: tuple[SurveyConfig, SimulatedMosaic]) -> None:
    config, made = crowded
    rows = {row["id"]: row for row in made.truth.to_pylist()}
    found = [row for row in rows.values() if row["class"] == "artefact"]
    bright = [row for row in rows.values() if row["class"] != "artefact" and row["snr"] > config.artefact_snr]
    assert len(found) == len(bright) >= 1
    assert {row["parent"] for row in found} == {row["id"] for row in bright}
    assert set(np.unique(made.artefacts)) - {0} <= {row["id"] for row in found}
    # with one artefact alone, the mask is where it changes the image by more than 3 rms
    second = sorted(row["snr"] for row in bright)[-2]
    one = simulate_mosaic(config.model_copy(update={"artefact_snr": second}), 0)
    quiet = simulate_mosaic(config.model_copy(update={"artefact_level": 0.0}), 0)
    change = np.abs(np.nan_to_num(one.image - quiet.image)) / np.nan_to_num(one.rms, nan=np.inf)
    assert one.truth["class"].to_pylist().count("artefact") == 1
    assert one.artefacts.any()
    assert change[one.artefacts == 0].max() < 3.01
    assert change[one.artefacts > 0].min() > 2.99
    assert not quiet.artefacts.any()
    np.testing.assert_array_equal(quiet.mask, made.mask)


@pytest.mark.parametrize("axes", [2, 4])
def test_truth_positions_agree_with_the_wcs(axes: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = SurveyConfig.preset("tiny", seed=2, axes=axes, frames_per_class=0, dec=61.0)
    made = simulate(tmp_path_factory.mktemp("wcs") / "s", config)
    truth = made.read_truth()
    for index, path in enumerate(made.mosaics):
        rows = truth.filter(np.array(truth["mosaic"].to_pylist()) == path.name)
        assert rows.num_rows > 10
        wcs = WCS(fits.getheader(path)).celestial
        sky = SkyCoord(rows["ra"].to_numpy(), rows["dec"].to_numpy(), unit="deg", frame="icrs")
        x, y = wcs.world_to_pixel(sky)
        np.testing.assert_allclose(x, rows["x"].to_numpy(), atol=1e-6)
        np.testing.assert_allclose(y, rows["y"].to_numpy(), atol=1e-6)
        image = fits.getdata(path).squeeze()
        mask = fits.getdata(made.masks[index]).squeeze()
        for row in rows.to_pylist():
            if row["class"] == "compact" and row["snr"] > 8:
                spot = (round(row["y"]), round(row["x"]))
                if mask[spot] == row["id"]:
                    assert image[spot] > 0.4 * row["peak_flux"]
    first, second = (WCS(fits.getheader(path)).celestial for path in made.mosaics)
    apart = first.pixel_to_world(127.5, 127.5).separation(second.pixel_to_world(127.5, 127.5)).deg
    assert apart > config.size * config.pixel_scale / 3600  # mosaics do not overlap


def test_same_seed_same_mosaic_whatever_the_survey() -> None:
    config = SurveyConfig.preset("tiny", seed=8)
    alone = simulate_mosaic(config, 1)
    among = simulate_mosaic(config.model_copy(update={"mosaics": 50}), 1)
    np.testing.assert_array_equal(alone.image, among.image)
    assert alone.truth.equals(among.truth)
    assert not np.array_equal(np.nan_to_num(alone.image), np.nan_to_num(simulate_mosaic(config, 0).image))


def test_every_class_is_made_at_its_rate() -> None:
    config = SurveyConfig.preset("tiny", seed=1, size=700, rings=30, shells=10, diffuse=20, filaments=5, peculiar=5)
    made = simulate_mosaic(config, 0)
    area = np.isfinite(made.image).sum() * (config.pixel_scale / 3600) ** 2
    kinds = made.truth["class"].to_pylist()
    for names, density in (({"ring"}, 30), ({"shell"}, 10), ({"diffuse", "diffuse_large"}, 20), ({"filament"}, 5)):
        assert abs(sum(kind in names for kind in kinds) - density * area) <= 1
    none = simulate_mosaic(config.model_copy(update=SILENT | {"radio_galaxy_fraction": 0.0}), 0)
    assert set(none.truth["class"].to_pylist()) == {"compact"}
