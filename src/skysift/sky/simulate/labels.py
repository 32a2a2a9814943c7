"""Labels of windows after Riggi et al. 2024 (PASA, arXiv:2404.18462, section 5.1), from the truth catalogue."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RIGGI_LABELS = (
    "BACKGROUND",
    "COMPACT",
    "EXTENDED",
    "RADIO-GALAXY",
    "DIFFUSE",
    "DIFFUSE-LARGE",
    "FILAMENT",
    "ARTEFACT",
    "PECULIAR",
    "MOSAICKING",
)
LARGE_SHARE = 0.5  # of the frame that a large diffuse object covers
EXTENDED_BEAMS = 10.0  # beam areas above 3 rms beyond which a source is extended
RADIO_GALAXIES = ("fr1", "fr2", "wat", "nat")
DIFFUSE = ("diffuse", "diffuse_large", "shell")


def label_windows(
    truth: pa.Table,
    windows: npt.ArrayLike,
    *,
    beam_area: float,
    seams: npt.NDArray[np.bool_] | None = None,
    min_snr: float = 5.0,
    least: float = 0.3,
) -> list[list[str]]:
    """Label windows of one mosaic by what its truth catalogue says is in them.

    A source counts in a window when the window shows at least a share `least` of the box around its pixels above three
    local rms, or when that box fills as large a share of the window. Seams are not in the catalogue: MOSAICKING is
    given where `seams` are told and run along at least that share of the window.

    Parameters
    ----------
    truth : pyarrow.Table
        Rows of `TRUTH_SCHEMA` of one mosaic.
    windows : array_like of int, shape (n, 4)
        x0, y0, width, height [pixel].
    beam_area : float
        Solid angle of the beam [pixel].
    seams : ndarray of bool, shape (n, n), optional
        Where mosaicking shows in the mosaic, as `seams_of` gives it.
    min_snr : float
        Least peak brightness of a source that counts [local rms].
    least : float
        Share of a source's box that must lie in the window; of a window's rows or columns that seams must touch.

    Returns
    -------
    list of list of str
        Labels of each window in the order of `RIGGI_LABELS`; BACKGROUND where nothing else holds.
    """
    boxes = np.asarray(windows, dtype=np.int64).reshape(-1, 4)
    seen = (truth["snr"].to_numpy() >= min_snr) & (truth["box_width"].to_numpy() > 0)
    rows = {
        name: truth[name].to_numpy(zero_copy_only=False)[seen]
        for name in ("class", "box_x0", "box_y0", "box_width", "box_height", "mask_pixels")
    }
    x0, y0, width, height = (rows[f"box_{key}"].astype(np.int64) for key in ("x0", "y0", "width", "height"))
    kinds = rows["class"].astype(str)
    extended = (kinds != "compact") & (rows["mask_pixels"] > EXTENDED_BEAMS * beam_area)
    found: list[list[str]] = []
    for wx, wy, ww, wh in boxes:
        across = np.minimum(x0 + width, wx + ww) - np.maximum(x0, wx)
        up = np.minimum(y0 + height, wy + wh) - np.maximum(y0, wy)
        shared = np.clip(across, 0, None) * np.clip(up, 0, None)
        filled = shared / (ww * wh)
        here = np.flatnonzero((shared >= least * width * height) | (filled >= least))
        labels = {
            label for i in here for label in _labels(str(kinds[i]), extended=bool(extended[i]), filled=float(filled[i]))
        }
        if seams is not None and _touched(seams, int(wx), int(wy), int(ww), int(wh)) >= least:
            labels.add("MOSAICKING")
        found.append([label for label in RIGGI_LABELS if label in labels] or ["BACKGROUND"])
    return found


def _touched(mask: npt.NDArray[np.bool_], x: int, y: int, width: int, height: int) -> float:
    """Return the share of a window's rows, or of its columns if larger, with pixels of a mask."""
    part = mask[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    return max(int(part.any(axis=1).sum()) / height, int(part.any(axis=0).sum()) / width)


def _labels(kind: str, *, extended: bool, filled: float) -> list[str]:
    """Labels that one source of a class brings to a frame of which it fills a share."""
    if kind == "artefact":
        return ["ARTEFACT"]
    if kind in DIFFUSE:
        return ["DIFFUSE-LARGE" if filled >= LARGE_SHARE else "DIFFUSE"]
    size = "EXTENDED" if extended else "COMPACT"
    if kind in RADIO_GALAXIES:
        return [size, "RADIO-GALAXY"]
    if kind == "filament":
        return [size, "FILAMENT"]
    if kind in ("ring", "peculiar"):
        return [size, "PECULIAR"]
    return ["COMPACT"]
