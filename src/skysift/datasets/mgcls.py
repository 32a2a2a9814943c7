"""Scored cutouts of the MeerKAT Galaxy Cluster Legacy Survey: how peculiar a source looks to one astronomer.

Lochner & Rudnick 2025 (Protege; doi:10.3847/1538-3881/ada14c), images of Knowles et al. 2022 (A&A 657, A56). A NumPy
archive with `images` (N, H, W),
`score` (N,; 1 boring to 5 most peculiar, -1 not scored), `field` (N,; name of the pointing), `ra` and `dec` [deg].
Sources of one pointing share noise and artefacts: the pointings are the groups of `--split group`.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from skysift.datasets import npz
from skysift.datasets.labelled import LabelledSet, Request
from skysift.errors import RequestError

__all__ = ["companions", "fits", "read"]

NEEDED = frozenset({"images.npy", "score.npy", "field.npy"})
companions = npz.companions


def fits(path: Path) -> bool:
    """Tell whether a path is such an archive, or a folder that holds it alone."""
    return _archive(path) is not None


def read(path: Path, request: Request) -> LabelledSet:
    """Read the archive; with `--columns label=NAME` as any other archive, without groups.

    Raises
    ------
    RequestError
        As `skysift.datasets.npz.read`, or if the pointings are not as they should be.
    """
    archive = _archive(path) or path
    if "label" in request.columns:
        return npz.read(archive, request)
    labelled = npz.read(archive, replace(request, columns={**request.columns, "label": "score"}))
    with np.load(archive) as arrays:
        field = arrays["field"]
    if field.shape != (len(labelled),) or field.dtype.kind not in "US":
        raise RequestError(f"{archive}: field has shape {field.shape}; give the name of a pointing for each image.")
    return replace(labelled, split=[str(name) for name in field.astype(str).tolist()])


def _archive(path: Path) -> Path | None:
    inside = [p for p in path.glob("*.npz")] if path.is_dir() else [path]
    if len(inside) != 1 or not npz.fits(inside[0]) or not zipfile.is_zipfile(inside[0]):
        return None
    with zipfile.ZipFile(inside[0]) as archive:
        return inside[0] if set(archive.namelist()) >= NEEDED else None
