"""Addresses of archives that know what else is at a position."""

from __future__ import annotations

from urllib.parse import urlencode

LEAST_RADIUS = 0.25


def links(ra: float, dec: float, radius: float) -> list[tuple[str, str, str]]:
    """Return title, address and explanation of each archive.

    Parameters
    ----------
    ra, dec : float
        ICRS [deg].
    radius : float
        How far around [arcmin].
    """
    place = f"{ra:.6f} {dec:+.6f}"
    around = f"{max(radius, LEAST_RADIUS):.2f}"
    simbad = {"Coord": place, "CooFrame": "ICRS", "Radius": around, "Radius.unit": "arcmin"}
    vizier = {"-c": place, "-c.rm": around, "-out.add": "_r"}
    ned = {
        "search_type": "Near Position Search",
        "in_csys": "Equatorial",
        "in_equinox": "J2000",
        "ra": f"{ra:.6f}d",
        "dec": f"{dec:.6f}d",
        "radius": around,
    }
    aladin = {"target": place, "fov": f"{2 * max(radius, LEAST_RADIUS) / 60 * 1.5:.4f}"}
    return [
        ("SIMBAD", f"https://simbad.cds.unistra.fr/simbad/sim-coo?{urlencode(simbad)}", "CDS: objects with names"),
        ("VizieR", f"https://vizier.cds.unistra.fr/viz-bin/VizieR?{urlencode(vizier)}", "CDS: catalogues"),
        ("NED", f"https://ned.ipac.caltech.edu/conesearch?{urlencode(ned)}", "Extragalactic objects"),
        ("Aladin", f"https://aladin.cds.unistra.fr/AladinLite/?{urlencode(aladin)}", "CDS: sky surveys"),
    ]
