"""Trainers that die when an epoch would be recorded: of one job (a fault in native code), or of any (a sick machine)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Sequence
from functools import partial
from multiprocessing.connection import Connection

from nftlab.train import EpochResult
from nftlab.worker import WorkerOptions, run_worker
from nftlab.worker.handle import Setup, TrainerHandle, serve_torch
from nftlab.worker.messages import Epoch

SEED, EPOCH = 1, 3  # of the deadly job, and the epoch that it never comes through


def deadly_job(pipe: Connection, setup: Setup) -> None:
    """The real trainer, killed by one job at one epoch."""
    _dying(lambda seed, epoch: (seed, epoch) == (SEED, EPOCH), pipe, setup)


def deadly_machine(pipe: Connection, setup: Setup) -> None:
    """The real trainer on a machine where it always dies."""
    _dying(lambda seed, epoch: True, pipe, setup)


def _dying(at: Callable[[int, int], bool], pipe: Connection, setup: Setup) -> None:
    from nftlab.worker.lanes import Lanes

    record = Lanes.record

    def fatal(lanes: Lanes, results: Sequence[EpochResult], keep: Collection[str]) -> Epoch:
        if any(at(lanes._claims[result.key].seed, result.epoch) for result in results):
            os.kill(os.getpid(), signal.SIGKILL)
        return record(lanes, results, keep)

    Lanes.record = fatal  # type: ignore[method-assign]
    serve_torch(pipe, setup)


def work_with(serve: Callable[[Connection, Setup], None], options: WorkerOptions) -> int:
    """A real worker with such a trainer."""
    return run_worker(options, partial(TrainerHandle, serve=serve))
