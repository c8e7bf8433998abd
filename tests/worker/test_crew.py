"""Several workers started as one: each its device and cores, signals once, one exit code, nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nftlab.errors import DeviceError, UsageError
from nftlab.store import story, verify
from nftlab.worker import WorkerOptions, devices, run_crew, run_worker
from nftlab.worker.crew import shares
from tests.worker.conftest import Lab, alive, spawned

_SCRIPT = """
import sys
from nftlab.worker import WorkerOptions, run_crew
from tests.worker import crewmates
sys.exit(run_crew([WorkerOptions(device=device, grace=1 + code) for device, code in {crew}], crewmates.{work}))
"""


def start(lab: Lab, *command: str) -> subprocess.Popen[str]:
    """Starts a crew in a process group of its own, as a shell would."""
    crew = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    lab.started.append(crew)
    return crew


def mates(lab: Lab, work: str, crew: list[tuple[str, int]]) -> subprocess.Popen[str]:
    return start(lab, "-c", _SCRIPT.format(crew=crew, work=work))


def workers(lab: Lab, *options: str) -> subprocess.Popen[str]:
    """Two real workers on the CPU."""
    where = ("--db", lab.url, "--runs", str(lab.runs), "--no-wandb")
    return start(lab, "-m", "nftlab", "worker", "--device", "cpu,cpu", "--pack", "1", *where, *options)


def ended(crew: subprocess.Popen[str]) -> bool:
    """Never: a crew that ends by itself while the test waits has failed."""
    assert crew.poll() is None, crew.communicate()
    return False


def lines(crew: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines of a crew's stderr, in order of their text."""
    assert crew.stderr is not None
    return sorted(crew.stderr.readline().rstrip("\n") for _ in range(count))


@pytest.mark.ci
def test_both_work_on_cores_of_their_own_and_hand_back_at_sigterm(lab: Lab) -> None:
    lab.sweep(epochs=5000, seeds=2)
    crew = workers(lab)
    lab.until(lambda: ended(crew) or all(row.epoch for row in lab.jobs()))
    first, second = spawned(crew.pid)
    mine, cores = os.sched_getaffinity(0), [os.sched_getaffinity(pid) for pid in (first, second)]
    if len(mine) > 1:
        assert not cores[0] & cores[1]
        assert cores[0] | cores[1] == mine
    trainers = [pid for worker in (first, second) for pid in spawned(worker)]
    assert [os.sched_getaffinity(pid) for pid in trainers] == cores
    crew.send_signal(signal.SIGTERM)
    out, err = crew.communicate(timeout=120)
    assert (crew.returncode, out) == (75, ""), err
    assert not any(map(alive, [first, second, *trainers]))
    assert {line.partition(": ")[0] for line in err.splitlines()} == {"cpu/1", "cpu/2"}
    for name in ("cpu/1", "cpu/2"):
        assert f"{name}: worker on {lab.url}" in err.splitlines()
    assert [(row.state, row.retries, lab.causes(row)) for row in lab.jobs()] == [("queued", 0, ["preempted"])] * 2
    attempts = [story(lab.engine, row.job_key)["attempts"][0] for row in lab.jobs()]
    assert {attempt["pid"] for attempt in attempts} == {first, second}


@pytest.mark.ci
def test_a_sweep_is_drained_each_job_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    lab.sweep(seeds=10)
    crew = workers(lab, "--drain")
    out, err = crew.communicate(timeout=180)
    assert (crew.returncode, out) == (0, ""), err
    assert [(row.state, row.attempts) for row in lab.jobs()] == [("done", 1)] * 10
    found = verify(lab.engine, "small")
    assert (found["done"], found["duplicates"]) == (10, 0)
    assert sum(": done " in line for line in err.splitlines()) == 10
    threads = {story(lab.engine, row.job_key)["attempts"][0]["circumstances"]["threads"] for row in lab.jobs()}
    assert threads <= {len(cores) for cores in shares(2)}


def test_a_killed_parent_leaves_nobody_behind(lab: Lab) -> None:
    crew = workers(lab)
    lab.until(lambda: ended(crew) or sum(bool(spawned(worker)) for worker in spawned(crew.pid)) == 2)
    members = spawned(crew.pid)
    trainers = [pid for worker in members for pid in spawned(worker)]
    crew.kill()
    lab.until(lambda: not any(map(alive, [*members, *trainers])), seconds=20)


def test_each_signal_is_passed_on_once_though_it_was_sent_to_the_group(lab: Lab) -> None:
    crew = mates(lab, "listen", [("cuda:0", 1), ("cpu", 1)])
    pids = [int(line.rpartition(" ")[2]) for line in lines(crew, 2)]
    assert all(map(alive, pids))
    os.killpg(crew.pid, signal.SIGINT)
    assert lines(crew, 2) == ["cpu: heard SIGINT", "cuda:0: heard SIGINT"]
    os.killpg(crew.pid, signal.SIGUSR1)
    assert lines(crew, 4) == ["cpu: heard SIGUSR1", "cpu: left with code 75", "cuda:0: heard SIGUSR1", "cuda:0: left with code 75"]
    assert crew.wait(timeout=20) == 75


def test_a_signal_that_comes_before_the_workers_listen_is_kept_for_them(lab: Lab) -> None:
    crew = mates(lab, "listen", [("cuda:0", 1), ("cpu", 1)])
    lab.until(lambda: ended(crew) or len(spawned(crew.pid)) == 2)
    crew.send_signal(signal.SIGTERM)
    _, err = crew.communicate(timeout=60)
    assert (crew.returncode, "killed" in err) == (75, False), err


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        pytest.param([0, 0], 0, marks=pytest.mark.ci),
        pytest.param([1, 0, 75], 75, marks=pytest.mark.ci),
        ([130, 75, 69, 0], 69),
        ([99, 1], 75),
    ],
    ids=["all well", "stopped", "sick", "killed"],
)
def test_the_most_serious_code_counts(lab: Lab, codes: list[int], worst: int) -> None:
    crew = mates(lab, "leave", [(f"cuda:{index}", code) for index, code in enumerate(codes)])
    _, err = crew.communicate(timeout=60)
    assert crew.returncode == worst, err
    told = {f"cuda:{index}: left with code {code}" for index, code in enumerate(codes) if code not in (0, 99)}
    told |= {"cuda:0: last wor", "cuda:0: killed by SIGKILL"} if 99 in codes else set()
    assert set(err.splitlines()) == told


@pytest.mark.ci
def test_a_full_disk_under_the_log_changes_no_exit_code(lab: Lab) -> None:
    """What the first one that leaves is said to have done cannot be written; the other is waited for all the same."""
    script = _SCRIPT.format(crew=[("cuda:0", 1), ("cpu", 75)], work="leave").replace("sys", "os").replace("os.exit", "os._exit")
    with open("/dev/full", "w") as full:  # left by os._exit, which does not try to write what is left over
        crew = subprocess.run([sys.executable, "-c", script], stderr=full, timeout=60)
    assert crew.returncode == 75


def test_devices_as_they_are_named() -> None:
    assert devices("cpu, cpu") == ["cpu", "cpu"]
    assert devices("cuda,cuda:1") == ["cuda:0", "cuda:1"]
    assert devices("auto") == ["auto"]
    for wrong in ("cpu,", "cpu,auto", "all,cpu", "cuda:0,cuda", "cpu,gpu"):
        with pytest.raises(UsageError):
            devices(wrong)


@pytest.mark.ci
def test_all_is_the_cpu_where_there_is_no_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices("all") == ["cpu"]


@pytest.mark.gpu
def test_all_are_the_cuda_devices() -> None:
    import torch

    assert devices("all") == [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def test_a_torch_that_does_not_load_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no libcudart')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceError, match="cannot be counted: ImportError: no libcudart; see `nftlab doctor`"):
        devices("all")


def test_a_limit_of_jobs_is_for_one_worker() -> None:
    with pytest.raises(UsageError, match="--max-jobs is for one worker"):
        run_crew([WorkerOptions(device="cpu", max_jobs=2)] * 2, run_worker)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_cores_are_dealt_out(workers: int) -> None:
    mine = os.sched_getaffinity(0)
    dealt = shares(workers)
    assert len(dealt) == workers
    assert set().union(*dealt) == mine
    assert min(map(len, dealt)) == max(1, len(mine) // workers)
    if len(mine) >= workers:
        assert sum(map(len, dealt)) == len(mine)
