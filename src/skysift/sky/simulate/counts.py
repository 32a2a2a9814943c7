"""Published number counts and sizes of extragalactic sources at 1.4 GHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skysift.sky.simulate.beam import Float64

# Hopkins et al. 2003 (AJ 125, 465), sixth-order fit to the 1.4 GHz counts between 0.05 mJy and 1 Jy:
# log10( S^2.5 dN/dS / (Jy^1.5 / sr) ) = sum a_i (log10 S/mJy)^i
HOPKINS2003 = (0.859, 0.508, 0.376, -0.049, -0.121, 0.057, -0.008)
STERADIAN = (180 / np.pi) ** 2  # square degrees in a steradian
GRID = 4096


def differential_counts(flux: npt.ArrayLike) -> Float64:
    """Number of sources per flux density and solid angle at 1.4 GHz.

    Parameters
    ----------
    flux : array_like
        Flux densities between 5e-5 and 1 [Jy].

    Returns
    -------
    ndarray
        dN/dS [1 / (Jy sr)].

    References
    ----------
    Hopkins et al. 2003, AJ 125, 465 (The Phoenix Deep Survey: the 1.4 GHz microjansky catalog).
    """
    jansky = np.asarray(flux, dtype=np.float64)
    euclidean = 10 ** np.polynomial.polynomial.polyval(np.log10(jansky * 1e3), HOPKINS2003)
    return euclidean * jansky**-2.5


def expected_counts(flux_min: float, flux_max: float) -> float:
    """Number of sources per square degree between two flux densities [Jy]."""
    return float(_cumulative(flux_min, flux_max)[1][-1]) / STERADIAN


def draw_fluxes(rng: np.random.Generator, number: int, flux_min: float, flux_max: float) -> Float64:
    """Draw flux densities [Jy] from the counts between two limits, shape (number,)."""
    grid, total = _cumulative(flux_min, flux_max)
    return np.exp(np.interp(rng.random(number) * total[-1], total, np.log(grid)))


def draw_sizes(rng: np.random.Generator, flux: Float64) -> Float64:
    """Draw angular sizes [arcsec] of sources with these flux densities [Jy].

    Median 2 arcsec (S / mJy)^0.30 and a stretched exponential, after Windhorst et al. 1990 (ASP Conf. 10, 389).
    """
    median = 2.0 * (flux * 1e3) ** 0.30
    return median * (-np.log(rng.uniform(1e-6, 1.0, flux.shape)) / np.log(2)) ** (1 / 0.62)


def _cumulative(flux_min: float, flux_max: float) -> tuple[Float64, Float64]:
    grid = np.geomspace(flux_min, flux_max, GRID)
    density = differential_counts(grid) * grid  # per logarithm of flux
    steps = np.diff(np.log(grid)) * (density[1:] + density[:-1]) / 2
    return grid, np.concatenate([[0.0], np.cumsum(steps)])
