"""Our tasks in Slurm's queue. `sacct` would know more, but answers nothing where no accounting is set up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nftlab.cluster.commands import ask, me
from nftlab.cluster.request import NAME

GONE = {"completed", "failed", "cancelled", "timeout", "node_fail", "preempted", "out_of_memory", "boot_fail", "deadline"}
_FORMAT = "%F|%K|%T|%N|%M|%L|%r"


@dataclass(frozen=True)
class Task:
    """One worker's place: `task` as Slurm names it ("12_0"), `state` in small letters, `node` (empty while it waits), times as Slurm
    writes them, and why it waits or ended."""

    task: str
    state: str
    node: str
    elapsed: str
    left: str
    reason: str

    @property
    def there(self) -> bool:
        """Whether it waits, runs or is just leaving."""
        return self.state not in GONE


def tasks(name: str = NAME, only: Collection[str] = ()) -> list[Task]:
    """The user's tasks of this name, those that ended as long as Slurm remembers them (five minutes by default).

    `only`: arrays ("12") or tasks ("12_3"); empty: all. Raises ClusterError where Slurm does not answer.
    """
    told = ask("squeue", "--noheader", "--array", "--states=all", me(), f"--name={name}", f"--format={_FORMAT}")
    found = [_task(line) for line in told.splitlines()]
    return [task for task in found if not only or task.task in only or task.task.partition("_")[0] in only]


def _task(line: str) -> Task:
    array, index, state, node, elapsed, left, reason = line.strip().split("|", 6)
    return Task(array if index == "N/A" else f"{array}_{index}", state.lower(), node, elapsed, left, "" if reason == "None" else reason)
