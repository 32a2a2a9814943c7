"""A survey on disk: mosaics, masks, noise maps, truth and labelled cutouts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from pydantic import ValidationError

from skysift.errors import RequestError
from skysift.sky.simulate.config import SurveyConfig
from skysift.sky.simulate.header import shaped
from skysift.sky.simulate.labelled import SETS, make_set, write_set
from skysift.sky.simulate.mosaic import simulate_mosaic
from skysift.sky.simulate.truth import write_table

CONFIG, SUMMARY = "config.json", "survey.json"
FOLDERS = ("mosaics", "masks", "noise", "truth", "labelled")

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Survey:
    """Where a simulated survey lies.

    Parameters
    ----------
    folder : Path
        The survey's folder.
    config : SurveyConfig
        What it was made from.
    """

    folder: Path
    config: SurveyConfig

    def _files(self, kind: str, suffix: str) -> tuple[Path, ...]:
        return tuple(self.folder / kind / f"mosaic_{i:02d}{suffix}" for i in range(self.config.mosaics))

    @property
    def mosaics(self) -> tuple[Path, ...]:
        """The images [Jy/beam]."""
        return self._files("mosaics", ".fits")

    @property
    def masks(self) -> tuple[Path, ...]:
        """The instance masks: sources in the first HDU, artefacts in the extension ARTEFACTS."""
        return self._files("masks", "_mask.fits")

    @property
    def noise(self) -> tuple[Path, ...]:
        """The noise maps [Jy/beam]."""
        return self._files("noise", "_rms.fits")

    @property
    def truth(self) -> Path:
        """The truth catalogue of all mosaics (Parquet; a CSV of the same name lies beside it)."""
        return self.folder / "truth.parquet"

    @property
    def labelled(self) -> dict[str, Path]:
        """The labelled cutout sets by name (`.npz`; their label tables lie beside them)."""
        made = SETS if self.config.frames_per_class else ()
        return {name: self.folder / "labelled" / f"{name}.npz" for name in made}

    def read_truth(self) -> pa.Table:
        """Read the truth catalogue."""
        return pq.read_table(self.truth)


def simulate(
    out: Path | str,
    config: SurveyConfig,
    *,
    progress: Progress | None = None,
    overwrite: bool = False,
    workers: int = 1,
) -> Survey:
    """Simulate a survey and write it to a folder.

    The result depends on `config` alone, byte for byte. Finished mosaics of an interrupted run are kept, and a finished
    survey of the same configuration is returned at once.

    Parameters
    ----------
    out : Path or str
        Folder to write: `mosaics/`, `masks/`, `noise/`, `truth.parquet`, `truth.csv`, `labelled/`, `survey.json`.
    config : SurveyConfig
        The survey.
    progress : callable, optional
        Called with the number of finished parts, their total, and what was finished.
    overwrite : bool
        Replace a survey of another configuration in that folder.
    workers : int
        Processes that share the mosaics.

    Returns
    -------
    Survey

    Raises
    ------
    RequestError
        The folder holds something else, or cannot be written.
    """
    folder = Path(out)
    _prepare(folder, config, overwrite=overwrite)
    survey = Survey(folder, config)
    if (folder / SUMMARY).exists():
        return survey
    sets = list(survey.labelled)
    tasks = [("mosaic", str(i)) for i in range(config.mosaics)] + [("set", name) for name in sets]
    waiting = [task for task in tasks if not _marker(folder, task).exists()]
    done = len(tasks) - len(waiting)
    for task in _perform(partial(_work, folder, config), waiting, workers):
        done += 1
        if progress is not None:
            progress(done, len(tasks), " ".join(task))
    _finish(survey)
    return survey


def open_survey(folder: Path | str) -> Survey:
    """Open a finished survey.

    Raises
    ------
    RequestError
        The folder holds no finished survey.
    """
    path = Path(folder)
    if not (path / SUMMARY).exists():
        raise RequestError(f"{path} holds no finished simulated survey: run `skysift simulate {path}`")
    return Survey(path, SurveyConfig.model_validate_json((path / CONFIG).read_text()))


def _prepare(folder: Path, config: SurveyConfig, *, overwrite: bool) -> None:
    """Make the folder ready, or say why it cannot be."""
    wanted = config.model_dump_json(indent=1) + "\n"
    try:
        if (folder / CONFIG).exists():
            if _same((folder / CONFIG).read_text(), config):
                return
            if not overwrite:
                raise RequestError(
                    f"{folder} holds a simulated survey of another configuration: choose another folder or overwrite it"
                )
            for name in (SUMMARY, "truth.parquet", "truth.csv", CONFIG):
                (folder / name).unlink(missing_ok=True)
            for name in FOLDERS:
                shutil.rmtree(folder / name, ignore_errors=True)
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RequestError(f"{folder} exists and is no simulated survey: choose an empty or new folder")
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        temporary = folder / (CONFIG + ".tmp")
        temporary.write_text(wanted)
        temporary.replace(folder / CONFIG)
    except OSError as error:
        raise RequestError(f"cannot write the survey to {folder} ({error.strerror}): choose another folder") from error


def _same(text: str, config: SurveyConfig) -> bool:
    try:
        return SurveyConfig.model_validate_json(text) == config
    except ValidationError:
        return False


def _perform(
    work: Callable[[tuple[str, str]], tuple[str, str]], tasks: list[tuple[str, str]], workers: int
) -> Iterator[tuple[str, str]]:
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks)


def _marker(folder: Path, task: tuple[str, str]) -> Path:
    """Name the file that is written last of a task's files."""
    kind, name = task
    if kind == "mosaic":
        return folder / "truth" / f"mosaic_{int(name):02d}.parquet"
    return folder / "labelled" / f"{name}.npz"


def _work(folder: Path, config: SurveyConfig, task: tuple[str, str]) -> tuple[str, str]:
    kind, name = task
    if kind == "mosaic":
        _write_mosaic(folder, config, int(name))
    else:
        write_set(make_set(name, config), folder / "labelled")
    return task


def _write_mosaic(folder: Path, config: SurveyConfig, index: int) -> None:
    """Simulate a mosaic and write its files, the truth last."""
    made = simulate_mosaic(config, index)
    stem = f"mosaic_{index:02d}"
    plain = made.header.copy()
    del plain["BUNIT"]
    plain["BTYPE"] = "Instance"
    write_fits(folder / "mosaics" / f"{stem}.fits", [(shaped(made.image, config), made.header, "")])
    write_fits(
        folder / "masks" / f"{stem}_mask.fits",
        [(shaped(made.mask, config), plain, ""), (shaped(made.artefacts, config), plain, "ARTEFACTS")],
    )
    write_fits(folder / "noise" / f"{stem}_rms.fits", [(shaped(made.rms, config), made.header, "")])
    write_table(made.truth, folder / "truth" / f"{stem}.parquet")


def write_fits(path: Path, images: list[tuple[np.ndarray, fits.Header, str]]) -> None:
    """Write images as FITS in one step; the bytes depend on the arguments alone."""
    hdus: list[Any] = []
    for data, header, name in images:
        hdu = fits.ImageHDU(data, header, name=name) if hdus else fits.PrimaryHDU(data, header)
        hdus.append(hdu)
    temporary = path.with_name(path.name + ".tmp")
    fits.HDUList(hdus).writeto(temporary, overwrite=True)
    temporary.replace(path)


def _finish(survey: Survey) -> None:
    """Join the truth of all mosaics and write the summary that marks the survey as finished."""
    import json

    folder = survey.folder
    shards = [pq.read_table(folder / "truth" / f"{mosaic.stem}.parquet") for mosaic in survey.mosaics]
    truth = pa.concat_tables(shards)
    write_table(truth, survey.truth)
    write_table(truth, folder / "truth.csv")
    kinds, numbers = np.unique(truth["class"].to_numpy(zero_copy_only=False).astype(str), return_counts=True)
    summary = {
        "mosaics": [path.name for path in survey.mosaics],
        "sources": {str(kind): int(number) for kind, number in zip(kinds, numbers, strict=True)},
        "labelled": sorted(survey.labelled),
    }
    temporary = folder / (SUMMARY + ".tmp")
    temporary.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")
    temporary.replace(folder / SUMMARY)
