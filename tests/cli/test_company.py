"""`skysift train` as a process, and as two that torchrun or srun has started."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from skysift.ssl.stages import Train
from skysift.store import Artifact, Store
from tests.ssl.cutouts import ToyPack

SKYSIFT = ["-m", "skysift"]
OPTIONS = {"backbone": "test_nfnet", "channels": 1, "image_size": 32, "batch_size": 16, "optimizer": "sgd", "lr": 0.05}
FAILING = """
import sys, os
import skysift.ssl.train as work
from skysift.cli.program import main
plain = work.open_run
def open_run(*arguments):
    run = plain(*arguments)
    if os.environ["RANK"] == "1":
        run.augment = None
    return run
work.open_run = open_run
sys.exit(main())
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.name(store.run(ToyPack()).id, "toys")
    return store


def train(store: Store, *more: str, **options: object) -> list[str]:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in {**OPTIONS, **options}.items()]
    return ["train", "toys", *given, "--store", str(store.root), "--device", "cpu", "--workers", "1", *more]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def torchrun(program: list[str], command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start two processes; what each prints is kept apart in `folder`."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    kept = ["--log-dir", str(folder / "logs"), "--redirects", "3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.Popen(
        [*launcher, *kept, *program, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def printed(folder: Path, rank: int, stream: str) -> str:
    return "".join(path.read_text() for path in sorted((folder / "logs").glob(f"*/attempt_0/{rank}/{stream}.log")))


def srun(command: list[str]) -> list[subprocess.Popen[str]]:
    """Start two processes as one step of a Slurm job does."""
    step = {
        "SLURM_JOB_ID": "77",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NTASKS": "2",
        "MASTER_PORT": free_port(),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }
    return [
        subprocess.Popen(
            [sys.executable, *SKYSIFT, *command],
            env={**os.environ, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    texts = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def terminate(process: subprocess.Popen[str], store: Store) -> str:
    """Send SIGTERM once there is a checkpoint; return what the process printed."""
    deadline = time.monotonic() + 120
    while not list(store.partial.glob("*/.scratch/checkpoints/last.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=120)[0]


def trained(store: Store) -> Artifact:
    (model,) = (artifact for artifact in store.artifacts() if artifact.kind == "model")
    return model


def assert_same_model(one: Artifact, two: Artifact) -> None:
    """Weights to 1e-5, losses likewise."""
    for name in ("encoder.safetensors", "head.safetensors"):
        first, second = (load_file(artifact.folder / name) for artifact in (one, two))
        assert first.keys() == second.keys()
        assert max(float((first[key] - second[key]).abs().max()) for key in first) < 1e-5
    losses = [
        [float(row["loss"]) for row in csv.DictReader((artifact.folder / "history.csv").open())]
        for artifact in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.slow
def test_torchrun_makes_the_model_of_one_process_stopped_or_not(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "alone")
    alone = other.run(Train(cutouts=other.run(ToyPack()).id, epochs=40, threads=1, **OPTIONS), device="cpu")
    command = train(store, epochs=40)

    first = torchrun(SKYSIFT, command, tmp_path / "first")
    terminate(first, store)
    assert "checkpoint written; the same command carries on" in printed(tmp_path / "first", 0, "stderr")
    assert not [artifact for artifact in store.artifacts() if artifact.kind == "model"]

    second = torchrun(SKYSIFT, command, tmp_path / "second")
    text = second.communicate(timeout=240)[0]
    assert second.returncode == 0, text + printed(tmp_path / "second", 0, "stderr")
    model = trained(store)
    assert printed(tmp_path / "second", 0, "stdout").split() == [model.id]
    for folder in ("first", "second"):
        assert printed(tmp_path / folder, 1, "*") == ""
    assert_same_model(model, alone)

    third = torchrun(SKYSIFT, command, tmp_path / "third")  # there already: nobody is left waiting
    assert third.wait(timeout=120) == 0
    assert printed(tmp_path / "third", 0, "stdout").split() == [model.id]


@pytest.mark.slow
def test_sigterm_stops_one_process_which_carries_on_to_the_same_bytes(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "whole")
    whole = other.run(Train(cutouts=other.run(ToyPack()).id, epochs=40, threads=1, **OPTIONS), device="cpu")
    command = [sys.executable, *SKYSIFT, *train(store, "--threads", "1", epochs=40)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    first = subprocess.Popen(command, **options)
    text = terminate(first, store)
    assert first.returncode == 130
    assert re.search(r"stopped: stopped after step \d+ of 80, checkpoint written; the same command carries on", text)
    second = subprocess.Popen(command, **options)
    text = second.communicate(timeout=240)[0]
    assert second.returncode == 0, text
    model = trained(store)
    names = ("encoder.safetensors", "head.safetensors", "history.csv")
    assert model.id == whole.id
    assert [(model.folder / name).read_bytes() for name in names] == [
        (whole.folder / name).read_bytes() for name in names
    ]


@pytest.mark.slow
def test_srun_trains_together(store: Store) -> None:
    (code, out, err), (other_code, *other_text) = finish(srun(train(store, epochs=2)))
    assert (code, other_code, other_text) == (0, 0, ["", ""]), err
    assert "Initializing" not in err
    assert "Warning" not in err
    model = trained(store)
    assert out.split() == [model.id]
    assert model.counts["steps"] == 4


@pytest.mark.slow
def test_a_wrong_request_ends_both(store: Store) -> None:
    (code, _, err), other = finish(srun(train(store, backbone="test_resnot")))
    assert (code, other) == (2, (2, "", ""))
    assert err.count("\n") == 1
    assert "test_resnot" in err
    assert "can't be shared by 2 processes" in finish(srun(train(store, batch_size=17)))[0][2]


@pytest.mark.slow
def test_an_error_in_one_process_ends_both_with_its_message(store: Store, tmp_path: Path) -> None:
    program = tmp_path / "failing.py"
    program.write_text(FAILING)
    start = time.monotonic()
    process = torchrun([str(program)], train(store, epochs=5), tmp_path / "failing")
    text = process.communicate(timeout=120)[0]
    assert process.returncode != 0, text
    assert "skysift: error: process 1: TypeError: 'NoneType'" in printed(tmp_path / "failing", 0, "stderr")
    assert printed(tmp_path / "failing", 1, "*") == ""
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_other_commands_are_for_one_process(store: Store) -> None:
    (code, out, err), other = finish(srun(["ls", "--store", str(store.root)]))
    assert (code, out, other) == (2, "", (2, "", ""))
    assert err.startswith("skysift: error: `skysift ls` runs in one process: start it without torchrun or srun")
