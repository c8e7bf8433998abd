"""What a worker shows: a bar on a terminal, a few plain lines in a pipe. All of it on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nftlab.store import Claim, EpochRow, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


FRESH = 10.0  # seconds that a count of the jobs left may be old


class Display:
    """The worker's voice."""

    def __init__(self) -> None:
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task: TaskID | None = None
        self._total = 0  # lane-epochs of the pack
        self._count: Callable[[], int] = lambda: 0
        self._left, self._counted = 0, float("-inf")

    def say(self, line: str) -> None:
        """One line that stays; lost where the log's disk is full, which is no reason not to train."""
        with contextlib.suppress(OSError, ValueError):
            if self._bar is None:
                print(line, file=sys.stderr, flush=True)
            else:
                self._bar.console.print(line)

    def pack(self, claims: Sequence[Claim], left: Callable[[], int]) -> None:
        """A pack begins; `left` counts the jobs that are queued or running."""
        self._count, self._left, self._counted = left, left(), time.monotonic()
        first = claims[0]
        what = " ".join(str(first.config[field]) for field in ("algorithm", "network", "dataset"))
        what += f" × {len(claims)}" if len(claims) > 1 else f" seed {first.seed}"
        if self._bar is None:
            self.say(f"training {what} ({self._left} jobs left)")
            return
        self._total = _epochs(claims)
        self._task = self._bar.add_task(what, total=self._total, error="", left=self._left)
        self._bar.start()

    def join(self, claims: Sequence[Claim]) -> None:
        """More jobs train in the pack."""
        if self._bar is not None and self._task is not None:
            self._total += _epochs(claims)
            self._bar.update(self._task, total=self._total)

    def epoch(self, rows: Sequence[tuple[Claim, EpochRow]]) -> None:
        """An epoch of the pack is recorded."""
        if self._bar is None or self._task is None or not rows:
            return
        errors = [row.values["val/error"] for _, row in rows if "val/error" in row.values]
        best = f"val error {min(errors):.2f} %" if errors else ""
        if time.monotonic() - self._counted > FRESH:
            self._left, self._counted = self._count(), time.monotonic()
        self._bar.update(self._task, advance=len(rows), error=best, left=self._left)

    def done(self, claim: Claim, end: Outcome) -> None:
        """A job is finished."""
        self._left -= 1
        errors = f"val error {_percent(end.val_error)}, test error {_percent(end.test_error)}, best epoch {end.best_epoch}"
        self.say(f"done {claim.job_key} {claim.sweep} seed {claim.seed}: {'diverged' if end.diverged else errors} ({end.seconds:.1f} s)")

    def pruned(self, claim: Claim, why: str) -> None:
        """A job ended early."""
        self._left -= 1
        self.say(f"pruned {claim.job_key} {claim.sweep} seed {claim.seed}: {why}")

    def failed(self, claim: Claim, error: str) -> None:
        """An attempt failed."""
        self.say(f"failed {claim.job_key} {claim.sweep} seed {claim.seed}: {error}")

    def end(self) -> None:
        """The pack is over: its bar goes."""
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def close(self) -> None:
        """Gives the terminal back."""
        if self._bar is not None:
            self._bar.stop()


def _epochs(claims: Sequence[Claim]) -> int:
    """The epochs that are left of some jobs."""
    return sum(int(claim.config["epochs"]) - claim.epoch for claim in claims)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("epoch"), MofNCompleteColumn(), TextColumn("{task.fields[error]}"))
    rest = (TextColumn("{task.fields[left]} jobs left, pack"), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, markup=False)
    return Progress(*columns, *rest, console=console, transient=True)
