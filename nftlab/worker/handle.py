"""The trainer process: its birth, and the supervisor's end of the pipe to it.

This module is what the child imports first: it ties the child to its parent before torch is loaded.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from nftlab.process import die_with_parent, prepare
from nftlab.worker.messages import Order, Report
from nftlab.worker.signals import SIGNALS


@dataclass(frozen=True)
class Setup:
    """What a trainer is born with. `device` may be "auto"; `parent` is the supervisor's process id."""

    device: str
    runs: Path
    deterministic: bool
    parent: int


Serve = Callable[[Connection, Setup], None]


def serve_torch(pipe: Connection, setup: Setup) -> None:
    """What a trainer process does: trains with torch as the supervisor orders, until the pipe's end (EOFError)."""
    prepare(deterministic=setup.deterministic)
    from nftlab.worker.trainer import Trainer

    Trainer(pipe, setup).serve()


class TrainerHandle:
    """One warm trainer process, in a process group of its own, that dies with us.

    `serve` (importable) is what it does. Spawned, not forked: CUDA and thread pools do not survive a fork; a `serve` without
    either may be forked.
    """

    def __init__(
        self, device: str, runs: Path, *, deterministic: bool, serve: Serve = serve_torch, method: Literal["spawn", "fork"] = "spawn"
    ) -> None:
        context: Any = multiprocessing.get_context(method)
        self.pipe, theirs = context.Pipe()
        setup = Setup(device, runs, deterministic, os.getpid())
        self._process: BaseProcess = context.Process(target=_be_trainer, args=(theirs, setup, serve), name="trainer", daemon=True)
        start_deaf(self._process)
        theirs.close()  # else its death would not close the pipe

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    @property
    def waitable(self) -> list[Connection | int]:
        """What turns ready when there is something to hear or the process is gone."""
        return [self.pipe, self._process.sentinel]

    @property
    def gone(self) -> bool:
        """Whether the process has ended; what it said before may still be heard."""
        return not self._process.is_alive()

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"

    def tell(self, order: Order) -> None:
        """Sends an order; to a dead trainer nothing: its death shows in `gone`."""
        with contextlib.suppress(OSError):
            self.pipe.send(order)

    def hear(self) -> list[Report]:
        """Everything said so far, also by a trainer that died since."""
        reports: list[Report] = []
        with contextlib.suppress(EOFError, OSError):  # a message cut short by a kill is no message
            while not self.pipe.closed and self.pipe.poll():
                reports.append(self.pipe.recv())
        return reports

    def kill(self) -> list[Report]:
        """Ends the process and its children at once, waits for it and returns what was not heard yet."""
        if self.pipe.closed:  # done before; by now its number may be somebody else's
            return []
        with contextlib.suppress(ProcessLookupError):  # so young that it has no group yet, or all of it is gone
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        last = self.hear()
        self.pipe.close()
        return last


def start_deaf(process: BaseProcess) -> None:
    """Starts a child with our signals blocked, until it has said what it does about them."""
    resource_tracker.ensure_running()  # else it is started with the first child, and unblocks signals in passing
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # inherited
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_trainer(pipe: Connection, setup: Setup, serve: Serve) -> None:
    """The child's life: serve until the supervisor is gone."""
    tie_to_parent(setup.parent)
    # The supervisor decides when to stop; the terminal and Slurm signal every process of the group or step.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(EOFError, BrokenPipeError):
        serve(pipe, setup)


def tie_to_parent(parent: int) -> None:
    """A process group of its own, and death when the supervisor dies, however it does (Linux; elsewhere the pipe's end says so)."""
    os.setsid()
    die_with_parent(signal.SIGKILL, parent)
