"""Where the cutouts lie on the sky."""

from __future__ import annotations

import numpy as np

from skysift.cutouts.catalogue import Catalogue
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.data import CATALOGUES, in_catalogue
from skysift.report.family import Family
from skysift.report.figures.sky_map import draw_sky_map
from skysift.report.numbers import count
from skysift.report.sections.picture import picture

MOST_MOSAICS = 30


def make(family: Family) -> Section | None:
    """Show centres on a sky map, the area, and the mosaics."""
    base = family.nearest("cutouts", "merge") or family.nearest(*CATALOGUES)
    if base is None:
        return None
    catalogue = Catalogue.open(base)
    ra, dec = (np.asarray(catalogue.column(name), dtype=np.float64) for name in ("ra", "dec"))
    known = np.isfinite(ra) & np.isfinite(dec)
    selected = next((s for s in family.all("subsample") if base.id in family.upstream(s)), None)
    kept = None if selected is None else in_catalogue(catalogue, Catalogue.open(selected))
    blocks: list[Block] = []
    if known.any():
        area = _area(catalogue.select(np.flatnonzero(known)))
        caption = f"Centres of {count(known.sum())} cutouts ({base.kind} {family.title(base)}), covering {area}."
        if kept is not None and selected is not None:
            caption += f" Orange: the {count(kept.sum())} of subsample {family.title(selected)}."
        blocks.append(picture(draw_sky_map(ra, dec, kept), caption, "map of the sky with the positions of cutouts"))
    if not known.all():
        blocks.append(Note(f"{count((~known).sum())} of {count(len(known))} cutouts have no position on the sky."))
    blocks.append(_mosaics(catalogue, kept))
    return Section("footprint", "Footprint", blocks)


def _area(catalogue: Catalogue) -> str:
    """Return the area that cutouts cover, overlaps counted once."""
    from skysift.sky.footprint import cutout_footprint, footprint_area, union_footprint
    from skysift.sky.info import MosaicInfo

    rows = catalogue.mosaic_rows()
    mocs = []
    for number, known in enumerate(catalogue.mosaics.to_pylist()):
        windows = catalogue.windows[rows == number]
        if known["wcs_header"] is None or not len(windows):
            continue
        wanted = ("format", "hdu", "bunit", "bmaj", "bmin", "bpa", "frequency", "pixel_scale", "wcs_header")
        info = MosaicInfo(
            path=known["mosaic"],
            plane=known["plane"] or 0,
            shape=(known["ny"], known["nx"]),
            **{name: known[name] for name in wanted},
        )
        mocs.append(cutout_footprint(info, windows))
    square_degrees = footprint_area(union_footprint(mocs)) if mocs else 0.0
    if square_degrees == 0:
        return "an unknown area"
    if square_degrees < 0.1:
        return f"{3600 * square_degrees:.3g} square arcminutes"
    return f"{square_degrees:.4g} square degrees"


def _mosaics(catalogue: Catalogue, kept: np.ndarray | None) -> Table:
    rows = catalogue.mosaic_rows()
    cutouts = np.bincount(rows, minlength=catalogue.mosaics.num_rows)
    chosen = None if kept is None else np.bincount(rows[kept], minlength=catalogue.mosaics.num_rows)
    lines = []
    order = np.argsort(-cutouts, kind="stable")[:MOST_MOSAICS]
    known = catalogue.mosaics.to_pylist()
    for row in order:
        mosaic = known[row]
        beam = "–"
        if mosaic["bmaj"] and mosaic["bmin"]:
            beam = f"{3600 * mosaic['bmaj']:.3g} × {3600 * mosaic['bmin']:.3g}"
        lines.append(
            [
                mosaic["mosaic"][:10],
                mosaic["format"] or "–",
                f"{mosaic['nx']} × {mosaic['ny']}",
                f"{mosaic['pixel_scale']:.3g}" if mosaic["pixel_scale"] else "–",
                beam,
                f"{mosaic['frequency'] / 1e6:.5g}" if mosaic["frequency"] else "–",
                mosaic["bunit"] or "–",
                count(cutouts[row]),
                *([] if chosen is None else [count(chosen[row])]),
            ]
        )
    header = ["mosaic", "format", "size [pixel]", 'pixel ["]', 'beam ["]', "frequency [MHz]", "unit", "cutouts"]
    more = f" The {MOST_MOSAICS} with the most cutouts of {len(known)}." if len(known) > MOST_MOSAICS else ""
    caption = f"Mosaics, named by the first digits of their fingerprint.{more}"
    return Table([*header, *([] if chosen is None else ["selected"])], lines, caption, frozenset(range(2, 10)) - {6})
