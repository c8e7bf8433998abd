"""Signals as wishes: the handler notes, the worker's loop obeys."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from types import FrameType, TracebackType
from typing import Any, Self

INTERRUPTED, PREEMPTED = 130, 75
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Signals:
    """What the user or the scheduler wants, while the context is open.

    SIGINT once: stop at the end of the epoch; twice: now. SIGTERM and SIGUSR1: the machine is taken away, stop within
    the grace. Outside the main thread nothing is caught. `socket` turns readable at each signal, to be waited on.
    """

    def __init__(self) -> None:
        self.interrupts = 0
        self.preempted = False
        self.socket, self._wake = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}
        self._fd_before = -1

    def __enter__(self) -> Self:
        self.socket.setblocking(False)
        self._wake.setblocking(False)
        if threading.current_thread() is threading.main_thread():
            self._fd_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._fd_before)
        self.socket.close()
        self._wake.close()

    @property
    def stop(self) -> bool:
        """Whether anybody wants the worker to stop."""
        return self.preempted or self.interrupts > 0

    @property
    def now(self) -> bool:
        """Whether the epoch shall not even be finished."""
        return self.interrupts > 1

    @property
    def cause(self) -> str:
        """Why the jobs are handed back, as attempts record it."""
        return "preempted" if self.preempted else "interrupted"

    @property
    def exit_code(self) -> int:
        """How the worker leaves after a stop."""
        return PREEMPTED if self.preempted else INTERRUPTED

    def drain(self) -> bytes:
        """Reads the wake-up bytes, so that the next wait waits: the number of each signal since the last time."""
        numbers = b""
        with contextlib.suppress(BlockingIOError):
            while more := self.socket.recv(256):
                numbers += more
        return numbers

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self.interrupts += 1
        else:
            self.preempted = True
