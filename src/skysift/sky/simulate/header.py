"""FITS headers as radio imagers write them."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from skysift.sky.simulate.config import SurveyConfig


def mosaic_header(config: SurveyConfig, index: int, primary_beam: float) -> fits.Header:
    """Write the header of a mosaic.

    Parameters
    ----------
    config : SurveyConfig
        The survey.
    index : int
        Which mosaic: they stand side by side along right ascension, without overlap.
    primary_beam : float
        Full width at half power of the primary beam [pixel].

    Returns
    -------
    astropy.io.fits.Header
        Nothing in it depends on time, host or software version.
    """
    ra, dec = mosaic_centre(config, index)
    step = config.pixel_scale / 3600
    header = fits.Header()
    cards: list[tuple[str, object, str]] = [
        ("BUNIT", "JY/BEAM", "Brightness"),
        ("BMAJ", config.bmaj / 3600, "[deg] Beam, major axis"),
        ("BMIN", config.bmin / 3600, "[deg] Beam, minor axis"),
        ("BPA", config.bpa, "[deg] Beam, position angle"),
        ("CTYPE1", "RA---SIN", ""),
        ("CRVAL1", ra, ""),
        ("CDELT1", -step, ""),
        ("CRPIX1", config.size / 2 + 0.5, ""),
        ("CUNIT1", "deg", ""),
        ("CTYPE2", "DEC--SIN", ""),
        ("CRVAL2", dec, ""),
        ("CDELT2", step, ""),
        ("CRPIX2", config.size / 2 + 0.5, ""),
        ("CUNIT2", "deg", ""),
    ]
    if config.axes == 4:
        cards += [
            ("CTYPE3", "FREQ", ""),
            ("CRVAL3", config.frequency, ""),
            ("CDELT3", config.bandwidth, ""),
            ("CRPIX3", 1.0, ""),
            ("CUNIT3", "Hz", ""),
            ("CTYPE4", "STOKES", ""),
            ("CRVAL4", 1.0, "Stokes I"),
            ("CDELT4", 1.0, ""),
            ("CRPIX4", 1.0, ""),
            ("CUNIT4", "", ""),
        ]
    cards += [
        ("RADESYS", "ICRS", ""),
        ("LONPOLE", 180.0, ""),
        ("LATPOLE", dec, ""),
        ("SPECSYS", "TOPOCENT", ""),
        ("RESTFRQ", config.frequency, "[Hz]"),
        ("BTYPE", "Intensity", ""),
        ("TELESCOP", "SIMULATED", ""),
        ("OBJECT", f"mosaic {index}", ""),
        ("PBFWHM", primary_beam * step, "[deg] Primary beam, half power"),
        ("ORIGIN", "skysift simulator", ""),
    ]
    header.extend(cards)
    return header


def mosaic_centre(config: SurveyConfig, index: int) -> tuple[float, float]:
    """Right ascension and declination [deg] of a mosaic's centre."""
    width = config.size * config.pixel_scale / 3600 * 1.06
    per_row = max(1, int(300 * np.cos(np.deg2rad(config.dec)) // width))
    row, column = divmod(index, per_row)
    dec = config.dec + row * width
    if abs(dec) > 88:
        dec = -85 + (dec - config.dec) % 170
    return (config.ra + column * width / np.cos(np.deg2rad(config.dec))) % 360, dec


def celestial(header: fits.Header) -> WCS:
    """Celestial WCS of a mosaic's header, whatever its axes."""
    return WCS(header, naxis=[1, 2])


def shaped(data: np.ndarray, config: SurveyConfig) -> np.ndarray:
    """Give image data the survey's number of FITS axes."""
    return data if config.axes == 2 else data[None, None]
