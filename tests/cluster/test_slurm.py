"""Workers on a real Slurm of two nodes (`.ci/slurm start`), their table on a real Postgres."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from nftlab.store import story
from tests.cluster.conftest import PASSWORD, SLURM, Lab

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="session")
def _slurm() -> None:
    """Two idle nodes, started if need be."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("a Slurm is set up by root on Debian: .ci/slurm start")
    told = subprocess.run([SLURM, "start"], capture_output=True, text=True, check=True).stdout
    os.environ["SLURM_CONF"] = told.strip().partition("=")[2]


@pytest.fixture
def cluster(_slurm: None, lab: Lab) -> Iterator[Lab]:
    """A lab on two idle nodes."""
    subprocess.run([SLURM, "start"], check=True, capture_output=True)
    yield lab
    subprocess.run(["scancel", "--full", "--signal=KILL", f"--user={os.getuid()}"], check=False)
    subprocess.run(["scancel", f"--user={os.getuid()}"], check=False)


def place(lab: Lab, workers: int, *words: str) -> str:
    """Launches workers on CPUs; the array's id."""
    options = ["--device", "cpu", "--pack", "4", "--no-wandb"]
    done = lab.run("cluster", "launch", "--workers", str(workers), "--gpus-per-worker", "0", "--json", *words, "--", *options)
    assert done.returncode == 0, done.stderr
    array: str = json.loads(done.stdout)["array"]
    return array


def tasks(lab: Lab, array: str) -> dict[str, dict[str, Any]]:
    done = lab.run("cluster", "status", array, "--json")
    assert done.returncode == 0, done.stderr
    return {task["task"]: task for task in json.loads(done.stdout)["tasks"]}


def states(lab: Lab, array: str) -> list[str]:
    return [task["state"] for task in tasks(lab, array).values()]


def causes(lab: Lab) -> list[str]:
    """How all attempts ended."""
    return [attempt["cause"] for row in lab.jobs() for attempt in story(lab.engine, row.job_key)["attempts"]]


def test_an_array_drains_and_leaves_with_0(cluster: Lab) -> None:
    cluster.sweep(seeds=8, epochs=3)
    array = place(cluster, 2, "--cpus-per-worker", "3")
    cluster.until(lambda: states(cluster, array) == ["completed"] * 2)
    found = tasks(cluster, array)
    assert {task["node"] for task in found.values()} == {"n1", "n2"}
    assert sum(task["jobs_done"] for task in found.values()) == 8
    assert [(row.state, row.attempts) for row in cluster.jobs()] == [("done", 1)] * 8
    assert PASSWORD not in cluster.logs()
    assert not any(PASSWORD.encode() in path.read_bytes() for path in (cluster.runs / "slurm").iterdir())
