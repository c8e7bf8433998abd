"""Stopping workers so that nothing is lost: their jobs first go back to the table."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from nftlab.cluster.commands import ask
from nftlab.cluster.request import NAME
from nftlab.cluster.tasks import Task, tasks
from nftlab.errors import ClusterError

POLL = 1.0  # seconds between looks at the queue


@dataclass(frozen=True)
class Stopped:
    """How many tasks never started, how many handed their jobs back and left, how many had to be cancelled."""

    waiting: int
    left: int
    cancelled: int


def stop(
    name: str = NAME, only: Collection[str] = (), patience: float = 60.0, *, waiting_for: Callable[[int], None] = lambda running: None
) -> Stopped:
    """Cancels the tasks that wait, tells the running ones to hand their jobs back, and cancels those still there after `patience` seconds.

    `only` as in `tasks`; `waiting_for` is told how many run, once Slurm has said so.
    A cancelled worker gets SIGTERM and, after Slurm's KillWait, SIGKILL; its jobs return when its lease runs out.
    """
    found = [task for task in tasks(name, only) if task.there]
    waiting = [task.task for task in found if task.state == "pending"]
    running = [task.task for task in found if task.state != "pending"]
    _tell(waiting)
    if not running:
        return Stopped(len(waiting), 0, 0)
    waiting_for(len(running))
    with contextlib.suppress(ClusterError):  # one that has just ended cannot be changed any more
        ask("scontrol", "update", f"JobId={','.join(running)}", "Requeue=0")  # or it would come back
    _tell(running, "--signal=TERM")
    deadline = time.monotonic() + patience
    while (still := _still(name, running)) and time.monotonic() < deadline:
        time.sleep(POLL)
    _tell([task.task for task in still])
    return Stopped(len(waiting), len(running) - len(still), len(still))


def _still(name: str, ids: list[str]) -> list[Task]:
    return [task for task in tasks(name, ids) if task.there and task.state != "completing"]


def _tell(ids: list[str], *words: str) -> None:
    if ids:
        with contextlib.suppress(ClusterError):  # one that ended meanwhile is an error to scancel
            ask("scancel", *words, *ids)
