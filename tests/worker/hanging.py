"""A trainer with a child of its own that hangs: what a method, a data set or a driver may bring about."""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing.connection import Connection

from nftlab.worker.handle import Setup


def hang(pipe: Connection, setup: Setup) -> None:
    """Tells the process id of its child and says no more."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    pipe.send(child.pid)
    signal.pause()
