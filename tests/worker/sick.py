"""A worker on a machine without memory. A module of its own: whoever is started from it must not have loaded torch already."""

from __future__ import annotations

import resource
from functools import partial
from multiprocessing.connection import Connection

from nftlab.worker import WorkerOptions, run_worker
from nftlab.worker.handle import Setup, TrainerHandle, serve_torch

LITTLE = 1 << 30  # bytes of address space that torch cannot be loaded into


def starve(pipe: Connection, setup: Setup) -> None:
    """The real trainer, starved."""
    resource.setrlimit(resource.RLIMIT_AS, (LITTLE, LITTLE))
    serve_torch(pipe, setup)


def starved(options: WorkerOptions) -> int:
    """A real worker with that trainer."""
    return run_worker(options, partial(TrainerHandle, serve=starve))
