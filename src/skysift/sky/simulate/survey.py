"""A survey on disk: mosaics, masks, noise maps, truth and labelled cutouts."""

from __future__ import annotations

import json
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
from skysift.sky.simulate.labelled import SETS, Part, assemble, make_part, write_set
from skysift.sky.simulate.mosaic import simulate_mosaic
from skysift.sky.simulate.truth import write_table

CONFIG, SUMMARY = "config.json", "survey.json"
FOLDERS = ("mosaics", "masks", "noise", "truth", "labelled")

Progress = Callable[[int, int, str], None]
Task = tuple[str, int]  # ("mosaic", index) or (name of a labelled set, class)


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
        made = tuple(SETS) if self.config.frames_per_class else ()
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
        Called with the work done, the work in all (about milliseconds), and what was just finished.
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
        _sweep(folder)
        return survey
    tasks: list[Task] = [("mosaic", index) for index in range(config.mosaics)]
    tasks += [(name, label) for name in survey.labelled for label in range(len(SETS[name]))]
    waiting = [task for task in tasks if not _marker(folder, task).exists()]
    total = sum(_cost(config, task) for task in tasks)
    done = total - sum(_cost(config, task) for task in waiting)
    tell = progress or _say_nothing
    tell(done, total, "")
    for task in _perform(partial(_work, folder, config), waiting, workers):
        done += _cost(config, task)
        tell(done, total, _describe(task))
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


def _say_nothing(done: int, total: int, what: str) -> None:
    """Show no progress."""


def _perform(work: Callable[[Task], Task], tasks: list[Task], workers: int) -> Iterator[Task]:
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks)


def _marker(folder: Path, task: Task) -> Path:
    """Name the file that is written last of a task's files."""
    kind, number = task
    if kind == "mosaic":
        return folder / "truth" / f"mosaic_{number:02d}.parquet"
    return folder / "labelled" / f".{kind}-{number:02d}.npz"


def _cost(config: SurveyConfig, task: Task) -> int:
    """Estimate what a task takes [about ms], so that progress is in proportion to time."""
    if task[0] == "mosaic":
        return 60 + int(3.0e-4 * config.size**2)
    return config.frames_per_class * (27 if task[0] == "wu2019" else 15)


def _describe(task: Task) -> str:
    kind, number = task
    return f"mosaic {number}" if kind == "mosaic" else f"{kind} {SETS[kind][number]}"


def _work(folder: Path, config: SurveyConfig, task: Task) -> Task:
    kind, number = task
    if kind == "mosaic":
        _write_mosaic(folder, config, number)
        return task
    part = make_part(kind, config, number)
    path = _marker(folder, task)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        np.savez(stream, images=part.images, rows=np.array(json.dumps(part.rows)))
    temporary.replace(path)
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
    folder = survey.folder
    for name, path in survey.labelled.items():
        shards = [_marker(folder, (name, label)) for label in range(len(SETS[name]))]
        write_set(assemble(name, survey.config, [_read_part(shard) for shard in shards]), path.parent)
    tables = [pq.read_table(folder / "truth" / f"{mosaic.stem}.parquet") for mosaic in survey.mosaics]
    truth = pa.concat_tables(tables)
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
    _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove the parts of the labelled sets, which a finished survey no longer needs."""
    for shard in (folder / "labelled").glob(".*.npz"):
        shard.unlink(missing_ok=True)


def _read_part(path: Path) -> Part:
    with np.load(path) as npz:
        return Part(npz["images"], json.loads(str(npz["rows"])))
