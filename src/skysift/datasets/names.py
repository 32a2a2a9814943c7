"""Labelled sets by their own names, and the classes that are usually made of their labels.

Nothing is fetched: who holds the files puts them below the folder that `SKYSIFT_DATASETS` names, unpacked as published.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KNOWN", "LABEL_MAPS", "Known"]


@dataclass(frozen=True)
class Known:
    """A published set.

    Attributes
    ----------
    folders : tuple of str
        Names of the file or folder that its publisher's archive unpacks to, any of which is found by the set's name.
    what : str
        What it holds.
    source : str
        Where it comes from.
    """

    folders: tuple[str, ...]
    what: str
    source: str


KNOWN: dict[str, Known] = {
    "mirabest": Known(
        ("MiraBest", "F_batches", "MiraBest_F", "batches"),
        "1256 FR-I, FR-II and hybrid sources of FIRST in ten classes, as batches or FITS",
        "Porter & Scaife 2023, https://zenodo.org/records/4288837",
    ),
    "mirabest-n": Known(
        ("N_batches", "MiraBest_N"),
        "the same sources in NVSS",
        "Porter & Scaife 2023, https://github.com/fmporter/MiraBest_builder",
    ),
    "rgz-dr1": Known(
        ("RGZ_DR1_tables", "RGZ_DR1", "DR1_FIRST_radio_classifications.csv"),
        "sources of FIRST in six classes of components and peaks, with images put beside the table",
        "Wong et al. 2024, https://zenodo.org/records/10656393",
    ),
    "fr-deep": Known(
        ("FIRST_PNG_dataset", "FR-DEEP"),
        "600 FR-I and FR-II sources of FIRST, as batches",
        "Tang et al. 2019, https://github.com/HongmingTang060313/FR-DEEP",
    ),
    "fr-deep-n": Known(
        ("NVSS_PNG_dataset",),
        "the same sources in NVSS",
        "Tang et al. 2019, https://github.com/HongmingTang060313/FR-DEEP",
    ),
    "rgd": Known(
        ("galaxy_data", "RadioGalaxyDataset"),
        "2158 FR-I, FR-II, compact and bent sources of FIRST, with a division",
        "Griese et al. 2023, https://zenodo.org/records/7120632",
    ),
    "vlass": Known(
        ("VLASS",), "VLASS cutouts listed in info.json", "Cecconello et al. 2024, arXiv:2411.14078, from the authors"
    ),
    "msrs": Known(
        ("2-ROBIN", "ROBIN", "robin", "MSRS"),
        "cutouts of several surveys listed in info.json",
        "Cecconello et al. 2024, arXiv:2411.14078, from the authors",
    ),
    "mgcls": Known(
        ("MGCLS", "mgcls.npz"),
        "cutouts of MeerKAT clusters with a score of peculiarity, 1-5; divide with --split group",
        "Lochner & Rudnick 2025, doi:10.3847/1538-3881/ada14c",
    ),
    "mnist": Known(("MNIST",), "digits, idx files", "LeCun et al. 1998"),
    "usps": Known(
        ("USPS", "usps.bz2"),
        "digits, libsvm files",
        "Hull 1994, https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",
    ),
}

LABEL_MAPS: dict[str, tuple[str, ...]] = {
    "mirabest": ("FR-I=100+102+104+110+112+0..4", "FR-II=200+201+210+5..7"),
    "mirabest-confident": ("FR-I=100+102+104+0..2", "FR-II=200+201+5+6"),
    "mirabest-uncertain": ("FR-I=110+112+3+4", "FR-II=210+7"),
    "mirabest-hybrid": ("FR-I=100+102+104+110+112+0..4", "FR-II=200+201+210+5..7", "Hybrid=300+310+8+9"),
}
"""Name of a label map -> its entries: MiraBest's classes, or the numbers 0-9 that stand for them where names are lost.
Confident and uncertain classifications (the second digit of a class) together unless the name says otherwise."""
