"""A budget of time: how it is written, and how it ends a worker."""

from __future__ import annotations

import re
import time

from nftlab.errors import UsageError
from nftlab.worker.signals import PREEMPTED, Signals

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(written: str) -> float:
    """A duration such as "20h", "1.5h", "90m" or "3600s" in seconds; raises UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hms])", written)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{written!r} is not a time such as 20h, 1.5h, 90m or 3600s")
    return float(match[1]) * _UNITS[match[2]]


class Wishes(Signals):
    """Signals, and a `budget` of seconds (None: without end) after which work stops at the end of the epoch, without hurry."""

    def __init__(self, budget: float | None) -> None:
        super().__init__()
        self._end = float("inf") if budget is None else time.monotonic() + budget

    @property
    def spent(self) -> bool:
        """Whether the budget is what stops the worker."""
        return not super().stop and time.monotonic() >= self._end

    @property
    def stop(self) -> bool:
        """Whether anybody, or the budget, wants the worker to stop."""
        return super().stop or self.spent

    @property
    def cause(self) -> str:
        """Why the jobs are handed back, as attempts record it."""
        return "budget" if self.spent else super().cause

    @property
    def exit_code(self) -> int:
        """How the worker leaves after a stop."""
        return PREEMPTED if self.spent else super().exit_code
