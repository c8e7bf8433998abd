"""Settings of a process: those that torch reads when it loads or first allocates (call `prepare` before), and whose death ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def prepare(*, deterministic: bool = False) -> None:
    """Sleeping threads, memory that is kept, repeatable matrix products if asked for; settings of the user's environment hold."""
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


def die_with_parent(by: signal.Signals, parent: int) -> None:
    """This process gets the signal when its parent dies, however that dies, or is killed if it has; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
