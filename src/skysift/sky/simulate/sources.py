"""Which sources a mosaic holds: drawn from the number counts, and the rare ones beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from skysift.sky.simulate import extended, galaxies
from skysift.sky.simulate.beam import Beam, Float64, ellipse
from skysift.sky.simulate.cloud import Cloud
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.counts import draw_fluxes, draw_sizes, expected_counts
from skysift.sky.simulate.noise import Float32
from skysift.sky.simulate.render import paint_cloud

Maker = Callable[[np.random.Generator, float, float], Cloud]

MAKERS: dict[str, Maker] = {
    "fr1": galaxies.fr1,
    "fr2": galaxies.fr2,
    "wat": galaxies.wide_angle_tail,
    "nat": galaxies.narrow_angle_tail,
    "ring": extended.ring,
    "shell": extended.shell,
    "diffuse": extended.diffuse,
    "diffuse_large": extended.diffuse_large,
    "filament": extended.filament,
    "peculiar": extended.peculiar,
}
RADIO_GALAXIES = ("fr1", "fr2", "wat", "nat")
# largest angular size [beams] from, to; typical peak over the local noise
RARE: dict[str, tuple[float, float, float]] = {
    "ring": (4.0, 9.0, 14.0),
    "shell": (7.0, 18.0, 20.0),
    "diffuse": (4.0, 10.0, 12.0),
    "diffuse_large": (14.0, 30.0, 12.0),
    "filament": (12.0, 34.0, 16.0),
    "peculiar": (6.0, 18.0, 35.0),
}


@dataclass(frozen=True)
class Compacts:
    """Unresolved and slightly resolved sources, one element each.

    Parameters
    ----------
    x, y : ndarray
        Positions [pixel].
    flux : ndarray
        Integrated flux density [Jy].
    major, minor, pa : ndarray
        Intrinsic full widths at half maximum [pixel] and position angle [deg].
    """

    x: Float64
    y: Float64
    flux: Float64
    major: Float64
    minor: Float64
    pa: Float64

    @property
    def shape(self) -> tuple[Float64, Float64, Float64]:
        """Major and minor width [pixel] and position angle [deg]."""
        return self.major, self.minor, self.pa

    def __len__(self) -> int:
        return int(self.x.size)

    def where(self, chosen: np.ndarray) -> Compacts:
        """Select some sources."""
        return Compacts(*(v[chosen] for v in (self.x, self.y, self.flux, self.major, self.minor, self.pa)))


@dataclass(frozen=True)
class Extended:
    """A resolved source.

    Parameters
    ----------
    kind : str
        Its class.
    x, y : float
        Flux-weighted centre [pixel].
    flux : float
        Integrated flux density [Jy].
    cloud : Cloud
        Model of unit flux about the centre.
    """

    kind: str
    x: float
    y: float
    flux: float
    cloud: Cloud

    def shape(self) -> tuple[float, float, float]:
        """Major and minor full width [pixel] and position angle [deg] of the second moments."""
        return ellipse(*self.cloud.moments()[2:])


def make_cloud(kind: str, rng: np.random.Generator, size: float, beam: Beam) -> Cloud:
    """Draw a source of a class and a largest angular size [pixel], turned at random about its flux-weighted centre.

    The class is one of `MAKERS`, or `detached` for an FR-II whose lobes stand apart.
    """
    maker = partial(galaxies.fr2, detached=True) if kind == "detached" else MAKERS[kind]
    cloud = maker(rng, size, float(np.sqrt(beam.major * beam.minor))).rotated(rng.uniform(0, 2 * np.pi))
    x, y = cloud.moments()[:2]
    return cloud.shifted(-x, -y).normalised()


def draw_population(
    config: SurveyConfig, rng: np.random.Generator, rms: Float32, beam: Beam
) -> tuple[Compacts, list[Extended]]:
    """Draw everything the published counts speak of: compact sources and radio galaxies.

    Parameters
    ----------
    config : SurveyConfig
        The survey.
    rng : numpy.random.Generator
        Source of the draw.
    rms : ndarray, shape (ny, nx)
        Local noise [Jy/beam]; nothing is put where it is NaN.
    beam : Beam
        The beam [pixel].
    """
    ny, nx = rms.shape
    area = ny * nx * (config.pixel_scale / 3600) ** 2
    number = int(rng.poisson(expected_counts(config.flux_min, config.flux_max) * area))
    flux = draw_fluxes(rng, number, config.flux_min, config.flux_max)
    x, y = rng.uniform(-0.5, nx - 0.5, number), rng.uniform(-0.5, ny - 0.5, number)
    resolved = (rng.random(number) < config.radio_galaxy_fraction) & (flux >= config.radio_galaxy_flux_min)
    compacts = draw_compacts(config, rng, x, y, flux)
    covered = np.isfinite(rms[np.rint(y).astype(int).clip(0, ny - 1), np.rint(x).astype(int).clip(0, nx - 1)])
    mix = np.array(config.radio_galaxy_mix) / sum(config.radio_galaxy_mix)
    seeds = rng.integers(0, 2**63, number)
    galaxies_: list[Extended] = []
    for i in np.flatnonzero(resolved & covered):
        own = np.random.Generator(np.random.PCG64(int(seeds[i])))
        kind = str(own.choice(RADIO_GALAXIES, p=mix))
        size = galaxy_size(own, float(flux[i]) / config.rms, config) * beam.major
        galaxies_.append(Extended(kind, float(x[i]), float(y[i]), float(flux[i]), make_cloud(kind, own, size, beam)))
    return compacts.where(~resolved & covered), galaxies_


def draw_compacts(config: SurveyConfig, rng: np.random.Generator, x: Float64, y: Float64, flux: Float64) -> Compacts:
    """Give sources of known positions [pixel] and fluxes [Jy] the published sizes, at most 1.2 beams."""
    major = np.minimum(draw_sizes(rng, flux), 1.2 * config.bmaj) / config.pixel_scale
    return Compacts(x, y, flux, major, major * rng.uniform(0.15, 1.0, x.size), rng.uniform(0, 180, x.size))


def galaxy_size(rng: np.random.Generator, depth: float, config: SurveyConfig) -> float:
    """Draw the largest angular size [beam] of a radio galaxy of a flux given in units of the noise per beam.

    Log-normal about 7 beams; at most so large that the mean brightness stays about the noise.
    """
    size = float(np.exp(rng.normal(np.log(7.0), 0.6))) * config.size_scale
    return float(np.clip(size, 3.0, np.clip(depth / 8.0, 3.2, 40.0)))


def draw_rare(config: SurveyConfig, rng: np.random.Generator, rms: Float32, beam: Beam) -> list[Extended]:
    """Draw rings, shells, diffuse patches, filaments and peculiar sources: their mean number, rounded at random."""
    covered = np.isfinite(rms)
    area = float(covered.sum()) * (config.pixel_scale / 3600) ** 2
    placed: list[tuple[float, float, float]] = []
    found: list[Extended] = []
    densities = {
        "shell": config.shells,
        "ring": config.rings,
        "filament": config.filaments,
        "diffuse": config.diffuse,
        "peculiar": config.peculiar,
    }
    for name, density in densities.items():
        for _ in range(int(density * area + rng.random())):
            kind = "diffuse_large" if name == "diffuse" and rng.random() < 0.3 else name
            size = rare_size(rng, kind, config) * beam.major
            spot = _free_spot(rng, covered, size, placed)
            if spot is None:
                continue
            placed.append((*spot, size))
            local = float(rms[round(spot[1]), round(spot[0])])
            found.append(make_rare(kind, rng, size, spot, local, beam))
    return found


def rare_size(rng: np.random.Generator, kind: str, config: SurveyConfig) -> float:
    """Draw the largest angular size [beam] of a rare source, uniform in its logarithm."""
    low, high, _ = RARE[kind]
    return max(float(np.exp(rng.uniform(np.log(low), np.log(high)))) * config.size_scale, 2.5)


def make_rare(
    kind: str, rng: np.random.Generator, size: float, spot: tuple[float, float], rms: float, beam: Beam
) -> Extended:
    """Draw a rare source of a size [pixel] at a place, bright enough to be seen over the noise [Jy/beam]."""
    cloud = make_cloud(kind, rng, size, beam)
    return Extended(kind, spot[0], spot[1], flux_for_peak(cloud, rng, RARE[kind][2] * rms, beam), cloud)


def flux_for_peak(cloud: Cloud, rng: np.random.Generator, typical: float, beam: Beam) -> float:
    """Draw the flux [Jy] that gives a source a peak about a typical brightness [Jy/beam], with a scatter of 35 %."""
    peak = float(paint_cloud(cloud, 0.0, 0.0, 1.0, beam)[0].max())
    return typical * float(np.exp(rng.normal(0, 0.35))) / peak


def _free_spot(
    rng: np.random.Generator, covered: np.ndarray, size: float, placed: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    """Find a covered place for a source of a size [pixel], away from the rare sources already placed."""
    ny, nx = covered.shape
    apart = 0.55
    for attempt in range(200):
        x, y = float(rng.uniform(0, nx - 1)), float(rng.uniform(0, ny - 1))
        if not covered[round(y), round(x)]:
            continue
        if attempt == 100:
            apart = 0.3
        if all(np.hypot(x - px, y - py) > apart * (size + other) for px, py, other in placed):
            return x, y
    return None
