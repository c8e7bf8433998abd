"""The trainer process: its birth, and the supervisor's end of the pipe to it.

This module is what the child imports first: it ties the child to its parent before torch is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from nftlab.worker.messages import Order, Report

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True)
class Setup:
    """What a trainer is born with. `device` may be "auto"; `parent` is the supervisor's process id."""

    device: str
    runs: Path
    deterministic: bool
    parent: int


class TrainerHandle:
    """One warm trainer process, in a process group of its own, that dies with us.

    Spawned, not forked: CUDA and thread pools do not survive a fork.
    """

    def __init__(self, device: str, runs: Path, *, deterministic: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        setup = Setup(device, runs, deterministic, os.getpid())
        self._process = context.Process(target=_be_trainer, args=(theirs, setup), name="trainer", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # inherited, until the child can ignore them
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
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
        """Ends the process at once, waits for it and returns what was not heard yet."""
        self._process.kill()
        self._process.join()
        last = self.hear()
        self.pipe.close()
        return last


def _be_trainer(pipe: Connection, setup: Setup) -> None:
    """The child's life: serve until the supervisor is gone."""
    _tie_to_parent(setup.parent)
    # The supervisor decides when to stop; the terminal and Slurm signal every process of the group or step.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _prepare_for_torch(deterministic=setup.deterministic)
    from nftlab.worker.trainer import Trainer

    with contextlib.suppress(EOFError, BrokenPipeError):
        Trainer(pipe, setup).serve()


def _tie_to_parent(parent: int) -> None:
    """A process group of its own, and death when the supervisor dies, however it does (Linux; elsewhere the pipe's end says so)."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def _prepare_for_torch(*, deterministic: bool) -> None:
    """Settings of the process that are read when torch loads or first allocates; those of the user's environment hold."""
    # Threads that spin while they wait make small networks 25 times slower beside any other busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Keep freed activations instead of returning them to the kernel after every operation: page faults took a third of
    # CNN-A's time. 32 MiB is the largest threshold that glibc takes; other C libraries have no mallopt.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
