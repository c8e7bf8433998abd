"""A trainer that one job kills, always at the same epoch: a fault in native code, or memory that runs out late."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Sequence
from functools import partial
from multiprocessing.connection import Connection

from nftlab.train import EpochResult
from nftlab.worker import WorkerOptions, run_worker
from nftlab.worker.handle import Setup, TrainerHandle, serve_torch
from nftlab.worker.messages import Epoch

SEED, EPOCH = 1, 3  # of the deadly job, and the epoch that it never comes through


def deadly(pipe: Connection, setup: Setup) -> None:
    """The real trainer, killed when that job's epoch would be recorded."""
    from nftlab.worker.lanes import Lanes

    record = Lanes.record

    def fatal(lanes: Lanes, results: Sequence[EpochResult], keep: Collection[str]) -> Epoch:
        if any(lanes._claims[result.key].seed == SEED and result.epoch == EPOCH for result in results):
            os.kill(os.getpid(), signal.SIGKILL)
        return record(lanes, results, keep)

    Lanes.record = fatal  # type: ignore[method-assign]
    serve_torch(pipe, setup)


def with_deadly_trainer(options: WorkerOptions) -> int:
    """A real worker with that trainer."""
    return run_worker(options, partial(TrainerHandle, serve=deadly))
