"""Workers on a real Slurm of two nodes (`.ci/slurm start`), their table on a real Postgres."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nftlab.cluster import tasks
from nftlab.store import story
from tests.cluster.conftest import PASSWORD, SLURM, Lab

pytestmark = pytest.mark.slurm
EPOCHS = 40  # so that a pack of four takes some seconds


@pytest.fixture(scope="session")
def _slurm() -> None:
    """Two idle nodes, started if need be."""
    if "NFTLAB_CI" not in os.environ and (os.getuid() != 0 or shutil.which("apt-get") is None):
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


def place(lab: Lab, workers: int, *words: str, **environment: str) -> str:
    """Launches workers on CPUs; the array's id."""
    options = ["--device", "cpu", "--pack", "4", "--no-wandb"]
    done = lab.run(
        "cluster", "launch", "--workers", str(workers), "--gpus-per-worker", "0", "--json", *words, "--", *options, **environment
    )
    assert done.returncode == 0, done.stderr
    array: str = json.loads(done.stdout)["array"]
    return array


def ended(array: str, count: int) -> Callable[[], bool]:
    """Whether all tasks of an array have left Slurm's nodes and queue."""

    def all_gone() -> bool:
        found = tasks(only=[array])
        return len(found) == count and not any(task.there for task in found)

    return all_gone


def ways(array: str) -> dict[str, tuple[str, str]]:
    """State and exit code of every task."""
    told = scontrol("show", "job", "--oneliner", array)
    fields = [dict(word.partition("=")[::2] for word in line.split()) for line in told.splitlines() if line]
    return {field.get("ArrayTaskId", "0"): (field["JobState"], field["ExitCode"]) for field in fields}


def scontrol(*words: str) -> str:
    return subprocess.run(["scontrol", *words], check=True, capture_output=True, text=True).stdout


def nodes(array: str) -> dict[str, str]:
    """Where each task runs."""
    return {task.task: task.node for task in tasks(only=[array]) if task.state == "running"}


def training(lab: Lab, array: str) -> dict[str, str]:
    """Tasks that are in the first half of a job, and their nodes."""
    busy = {row.circumstances["slurm"] for row in lab.jobs() if row.state == "running" and 0 < row.epoch < EPOCHS / 2}
    return {task: node for task, node in nodes(array).items() if task in busy}


def causes(lab: Lab) -> list[str]:
    """How all attempts ended."""
    return [attempt["cause"] for row in lab.jobs() for attempt in story(lab.engine, row.job_key)["attempts"]]


def cut_power(node: str) -> None:
    """Kills everything that runs on a node: its daemon, the steps and all they started."""
    victims = {int((Path(os.environ["SLURM_CONF"]).parent / f"slurmd-{node}.pid").read_text())}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"SLURMD_NODENAME={node}\0".encode() in (process / "environ").read_bytes():
                victims |= {int(process.name), parent_of(process)}
    for number in (signal.SIGSTOP, signal.SIGKILL):  # first all stand still, or one would tell Slurm of another's death
        for pid in victims - {0, 1, os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def parent_of(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def test_an_array_drains_and_leaves_with_0(cluster: Lab) -> None:
    cluster.sweep(seeds=8, epochs=3)
    array = place(cluster, 2, "--cpus-per-worker", "3")
    cluster.until(ended(array, 2))
    assert set(ways(array).values()) == {("COMPLETED", "0:0")}
    done = cluster.run("cluster", "status", array, "--json")
    told = json.loads(done.stdout)
    assert (told["states"], told["jobs"]["done"]) == ({"completed": 2}, 8)
    assert {task["node"] for task in told["tasks"]} == {"n1", "n2"}
    assert sum(task["jobs_done"] for task in told["tasks"]) == 8
    assert [(row.state, row.attempts) for row in cluster.jobs()] == [("done", 1)] * 8
    assert not any(PASSWORD.encode() in path.read_bytes() for path in (cluster.runs / "slurm").iterdir())


def test_a_node_dies_and_a_worker_is_told_to_go(cluster: Lab) -> None:
    cluster.sweep(seeds=40, epochs=EPOCHS)
    array = place(cluster, 3, "--cpus-per-worker", "2", "--requeue", NFTLAB_LEASE="10")
    cluster.until(lambda: len(nodes(array)) == 3 and sum(row.state == "done" for row in cluster.jobs()) >= 4)
    assert set(nodes(array).values()) == {"n1", "n2"}
    cluster.until(lambda: "n1" in training(cluster, array).values())
    cut_power("n1")
    scontrol("update", "nodename=n1", "state=down", "reason=power")
    told = cluster.until(lambda: [task for task, node in training(cluster, array).items() if node == "n2"])
    subprocess.run(["scancel", "--signal=USR1", told[0]], check=True)
    cluster.until(ended(array, 3))
    assert cluster.run("sweep", "verify", "small").returncode == 0
    assert [(row.state, row.retries) for row in cluster.jobs()] == [("done", 0)] * 40
    assert {"lease expired", "preempted"} < set(causes(cluster))
    assert set(ways(array).values()) == {("COMPLETED", "0:0")}


def test_the_time_limit_finds_no_job_in_training(cluster: Lab) -> None:
    cluster.sweep(seeds=1, epochs=100_000)
    task = place(cluster, 1, "--time", "4m")
    cluster.until(lambda: cluster.jobs()[0].epoch)
    (running,) = tasks(only=[task])
    scontrol("update", f"JobId={task}", f"TimeLimit={int(running.elapsed.split(':')[0]) + 2}")  # minutes: not to wait for four
    cluster.until(ended(task, 1))
    assert ways(task) == {"0": ("FAILED", "75:0")}
    (row,) = cluster.jobs()
    assert (row.state, row.retries, causes(cluster)) == ("queued", 0, ["preempted"])
    assert row.epoch > 0


def test_stopped_workers_hand_back_and_do_not_return(cluster: Lab) -> None:
    cluster.sweep(seeds=8, epochs=100_000)
    array = place(cluster, 3, "--cpus-per-worker", "4", "--requeue")
    cluster.until(lambda: sum(row.epoch > 0 for row in cluster.jobs()) == 8)
    done = cluster.run("cluster", "stop", array, "--wait", "400", "--json")
    assert json.loads(done.stdout) == {"waiting": 1, "left": 2, "cancelled": 0}
    cluster.until(ended(array, 3))
    assert [(row.state, row.retries) for row in cluster.jobs()] == [("queued", 0)] * 8
    assert causes(cluster) == ["preempted"] * 8
    assert sorted(ways(array).values()) == [("CANCELLED", "0:0"), ("FAILED", "75:0"), ("FAILED", "75:0")]
