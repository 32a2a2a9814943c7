"""Who am I, of how many: torchrun's variables, and srun's in torchrun's names."""

from __future__ import annotations

import pytest

from skysift.errors import RequestError
from skysift.ssl.launch import World

STEP = {
    "SLURM_JOB_ID": "4021",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NODELIST": "gpu[017-018]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


def test_alone() -> None:
    assert World.of({}) == World(0, 1)
    batch_script = {"SLURM_JOB_ID": "4021", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert World.of(batch_script) == World(0, 1)
    assert World.of(STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) == World(0, 1)


def test_torchrun() -> None:
    assert World.of({"RANK": "3", "WORLD_SIZE": "4"}) == World(3, 4)
    both = STEP | {"RANK": "0", "WORLD_SIZE": "2"}  # srun starts a torchrun on each node
    assert World.of(both) == World(0, 2)


def test_srun_in_torchruns_names() -> None:
    environment = dict(STEP)
    assert World.of(environment) == World(5, 8)
    found = {name: value for name, value in environment.items() if name not in STEP}
    assert found == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "gpu017",
        "MASTER_PORT": str(15000 + (31 * 4021 + 2) % 15000),
    }
    assert World.of(environment) == World(5, 8)


def test_an_address_that_is_given_stays_and_a_device_a_task_is_the_first() -> None:
    given = {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29400", "SLURM_GPUS_PER_TASK": "1"}
    environment = STEP | given
    World.of(environment)
    assert {name: environment[name] for name in given} == given
    assert (environment["LOCAL_RANK"], environment["LOCAL_WORLD_SIZE"]) == ("0", "1")


def test_unequal_nodes_are_refused() -> None:
    with pytest.raises(RequestError, match="7 processes on 2 nodes"):
        World.of(STEP | {"SLURM_STEP_NUM_TASKS": "7"})
