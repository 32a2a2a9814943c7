"""Simulated surveys in which exactly 0.2 % of the cutouts show a ring, a shell or another odd shape."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skysift.cutouts import Catalogue, Cutouts
from skysift.sky.simulate import Survey, SurveyConfig, simulate
from skysift.store import Artifact, Stage, Store
from skysift.store.fields import Input

if TYPE_CHECKING:
    from skysift.store.context import Context

ODD = ("ring", "shell", "peculiar")
SHARE = 0.002
WINDOW = 96
"""Side of the windows [pixel]: 4 arcmin, about twenty beams."""
SHOWN = 0.8
"""Least share of a source's box that a window shows, or of the window that the box fills, to count as showing it."""


class Chosen(Stage):
    """Some rows of a catalogue."""

    kind: ClassVar[str] = "subsample"
    cutouts: Annotated[str, Input("cutouts")]
    rows: tuple[int, ...]

    def run(self, context: Context) -> dict[str, Any]:
        Catalogue.open(context.input(self.cutouts)).select(self.rows).write(context.folder)
        return {"rows": len(self.rows)}


def survey(folder: Path, seed: int, mosaics: int) -> Survey:
    """Simulate mosaics of the usual sky without diffuse sources and filaments, and enough odd ones to draw from."""
    odd = {"rings": 1.5, "shells": 1.0, "peculiar": 1.0, "diffuse": 0.0, "filaments": 0.0}
    config = SurveyConfig.preset("survey", seed=seed, mosaics=mosaics, frames_per_class=0, **odd)
    return simulate(folder, config)


def cut_out(store: Store, made: Survey, seed: int) -> tuple[Artifact, NDArray[np.bool_]]:
    """Cut the mosaics and choose rows; return the catalogue and which of its rows are odd.

    Of each odd source with a signal-to-noise of 5 the window that shows most of it may be taken; windows that show
    another part of one are left out, for they are neither. As many odd ones are drawn as make 0.2 %.
    """
    whole = store.run(Cutouts(mosaics=tuple(map(str, made.mosaics)), window_size=(WINDOW,), overlap=0.5))
    catalogue = Catalogue.open(whole)
    names = catalogue.mosaics["mosaic"].to_pylist()
    image = catalogue.mosaic_rows()
    best: list[int] = []
    touched = np.zeros(len(catalogue), dtype=bool)
    for number, path in enumerate(made.mosaics):
        rows = np.flatnonzero(image == names.index(store.sources.fingerprint(str(path))))
        truth = pq.read_table(made.folder / "truth" / f"mosaic_{number:02d}.parquet")
        shown, any_part = odd_windows(catalogue.windows[rows], truth)
        best += rows[shown].tolist()
        touched[rows[any_part]] = True
    ordinary = np.flatnonzero(~touched)
    wanted = round(SHARE / (1 - SHARE) * len(ordinary))
    candidates = np.unique(best)
    if len(candidates) < wanted:
        raise SystemExit(f"only {len(candidates)} windows show an odd source where {wanted} are needed: simulate more")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x0DD])))
    rows = np.sort(np.concatenate([ordinary, rng.choice(candidates, wanted, replace=False)]))
    return store.run(Chosen(cutouts=whole.id, rows=tuple(rows.tolist()))), touched[rows]


def odd_windows(windows: NDArray[np.int64], truth: pa.Table) -> tuple[list[int], NDArray[np.bool_]]:
    """Return the best window (index) of each odd source that one shows, and which windows show any part of one."""
    column = {name: truth[name].to_numpy(zero_copy_only=False) for name in truth.column_names}
    x0, y0, width, height = windows.T
    best: list[int] = []
    touched = np.zeros(len(windows), dtype=bool)
    for i in np.flatnonzero(np.isin(column["class"].astype(str), ODD) & (column["box_width"] > 0)):
        bx, by, bw, bh = (int(column[f"box_{key}"][i]) for key in ("x0", "y0", "width", "height"))
        across = np.minimum(bx + bw, x0 + width) - np.maximum(bx, x0)
        up = np.minimum(by + bh, y0 + height) - np.maximum(by, y0)
        shared = np.clip(across, 0, None) * np.clip(up, 0, None)
        touched |= shared > 0
        share = np.maximum(shared / (bw * bh), shared / (width * height))
        if len(share) and column["snr"][i] >= 5 and share.max() >= SHOWN:
            best.append(int(share.argmax()))
    return best, touched
