"""What the processes of a crew do in tests that need no training."""

from __future__ import annotations

import os
import select
import signal
import sys

from nftlab.worker import WorkerOptions
from nftlab.worker.signals import Signals


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def listen(options: WorkerOptions) -> int:
    """Tells every signal that comes, until SIGTERM or SIGUSR1."""
    heard = None
    with Signals() as signals:
        say(str(os.getpid()))
        while heard not in (signal.SIGTERM, signal.SIGUSR1):  # not `signals.preempted`: that is known before it is told
            select.select([signals.socket], [], [])
            for heard in map(signal.Signals, signals.drain()):
                say(f"heard {heard.name}")
        return signals.exit_code


def leave(options: WorkerOptions) -> int:
    """Leaves with the code that the grace stands for; 99 is a kill, after half a line."""
    code = round(options.grace) - 1
    if code == 99:
        sys.stderr.write("last wor")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return code
