"""The small parts of a worker."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch

from nftlab.cli.output import say
from nftlab.errors import ConfigError, NotFoundError, UsageError
from nftlab.store import Claim, Outcome, Worker
from nftlab.worker import WorkerOptions
from nftlab.worker.budget import seconds
from nftlab.worker.circumstances import processor, where
from nftlab.worker.handle import Setup, TrainerHandle
from nftlab.worker.messages import Ready
from nftlab.worker.progress import Display
from nftlab.worker.shelf import kept_at
from nftlab.worker.trainer import Trainer, cores, kind_of


@pytest.mark.parametrize(
    "wrong",
    [
        {"drain": True, "drain_now": True},
        {"device": "gpu"},
        {"device": "all"},
        {"device": "cpu,cpu"},
        {"pack": 0},
        {"pack": "many"},
        {"track": "tensorboard"},
        {"lease": 0.0},
        {"patience": 0.0},
        {"max_jobs": 0},
        {"stalled_after": -1.0},
        {"budget": 0.0},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        WorkerOptions(**wrong)


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_LEASE", "7")
    monkeypatch.setenv("NFTLAB_RUNS", "/somewhere")
    assert (WorkerOptions().lease, str(WorkerOptions().runs)) == (7.0, "/somewhere")
    monkeypatch.setenv("NFTLAB_LEASE", "soon")
    with pytest.raises(UsageError, match="soon"):
        WorkerOptions()
    monkeypatch.delenv("NFTLAB_LEASE")
    monkeypatch.delenv("NFTLAB_RUNS")
    assert (WorkerOptions().lease, str(WorkerOptions().runs)) == (60.0, "runs")


def test_a_log_on_a_full_disk_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:  # what is left in its buffer cannot be written at the end either
        monkeypatch.setattr(sys, "stderr", full)
        with pytest.raises(OSError, match="No space"):
            print("a plain print", file=sys.stderr, flush=True)
        Display().say("a line that nobody reads")
        say("another")
        monkeypatch.undo()


def test_a_finished_job_tells_errors_not_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    claim = Claim(1, "3f2a", "small", "t", 0, {}, 1, 1, "p", 2, None, None, None, None, False)
    Display().done(claim, Outcome(False, 1, 56.666, None, 0.1))
    assert capsys.readouterr().err == "done 3f2a small seed 0: val error 56.67 %, test error –, best epoch 1 (0.1 s)\n"


def test_who_has_no_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4321")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert Worker.me().name == str(os.getuid())


def test_a_trainer_is_killed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another process's by the next time."""
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append(group))
    trainer = TrainerHandle("cpu", tmp_path, deterministic=False, serve=lambda pipe, setup: pipe.recv(), method="fork")
    trainer.kill()
    assert trainer.kill() == []
    assert killed == [trainer.pid]


@pytest.mark.parametrize(("written", "threads"), [("2", 2), ("3,2", 3), ("", cores())])
def test_threads_are_those_of_the_outermost_level(written: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", written)
    pipe = MagicMock()
    before = torch.get_num_threads()
    try:
        Trainer(pipe, Setup("cpu", tmp_path, False, os.getpid()))._start()
    finally:
        torch.set_num_threads(before)
    assert pipe.send.call_args.args[0].threads == threads


@pytest.mark.parametrize(("written", "meant"), [("20h", 72000.0), ("1.5h", 5400.0), ("90m", 5400.0), ("3600s", 3600.0)])
def test_a_budget_is_a_time(written: str, meant: float) -> None:
    assert seconds(written) == meant


@pytest.mark.parametrize("written", ["", "20", "h", "-1h", "0s", "1d", "1h30m", "20 h", "nanh"])
def test_a_budget_that_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="20h"):
        seconds(written)


def test_the_processor_is_named() -> None:
    assert processor() == processor().strip() != ""
    one, two = (Ready("cpu", "A processor", threads, "") for threads in (1, 2))
    assert (where(one), where(two)) == ("A processor, 1 thread", "A processor, 2 threads")
    assert where(Ready("cuda:1", "A GPU", 2, "")) == "A GPU"


def test_memory_that_ran_out_is_told_from_a_crash() -> None:
    with pytest.raises(RuntimeError) as host:
        torch.empty(1 << 60, dtype=torch.uint8)
    library = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    for error in (torch.OutOfMemoryError("CUDA out of memory"), library, RuntimeError("CUDA error: out of memory"), host.value):
        assert kind_of(error) == "memory"
    assert kind_of(RuntimeError("CUDA error: an illegal memory access was encountered")) == "crash"
    assert kind_of(ConfigError("no such network")) == "config"
    assert kind_of(NotFoundError("no such data set")) == "unknown"


def test_a_checkpoint_is_found_where_the_runs_folder_is_now(tmp_path: Path) -> None:
    there = tmp_path / "before" / "checkpoints" / "key" / "1" / "epoch-000001.safetensors"
    here = tmp_path / "now" / "checkpoints" / "key" / "1" / there.name
    assert kept_at(tmp_path / "now", str(there)) == here
    not_to_be_looked_at = tmp_path / ("x" * 300) / "checkpoints" / "key" / "1" / there.name  # as in a folder that is closed to us
    assert kept_at(tmp_path / "now", str(not_to_be_looked_at)) == here
    there.parent.mkdir(parents=True)
    there.touch()
    assert kept_at(tmp_path / "now", str(there)) == there
