"""What is asked of Slurm, in our words and in submitit's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nftlab.errors import UsageError

NAME = "nftlab"  # of the Slurm jobs, by which status and stop find them
WARNING = 90  # seconds before the time limit at which a worker is told: an epoch's grace, checkpoints, trackers, and to spare
_OURS = {"array", "signal", "output", "error", "job-name", "time", "gpus-per-node", "cpus-per-task", "open-mode", "export"}

# The batch shell outlives a SIGTERM, or Slurm would take its end for the task's.
_LISTEN = "trap 'cancelled=yes' TERM"
# 75 and nobody cancelled: the time limit, or a signal like it. The array's last task has the array's own number as SLURM_JOB_ID.
_REQUEUE = [
    "code=$?",
    "task=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}",
    '[ "$code" = 75 ] && [ -z "$cancelled" ] && scontrol requeue "${task:-$SLURM_JOB_ID}"',
    'exit "$code"',
]


@dataclass(frozen=True)
class Request:
    """An array of `workers`, each a Slurm task with `gpus` and `cpus` (None: Slurm's default) for `seconds`.

    `memory` as Slurm writes it ("16G"). `setup`: shell lines run before the worker. `sbatch`: further options of sbatch by name, True
    for those without a value. `requeue`: a worker that the time limit stopped goes back into Slurm's queue. `options`: words for
    `nftlab worker`. Raises UsageError for what does not go together.
    """

    workers: int = 1
    gpus: int = 1
    cpus: int | None = None
    seconds: float = 4 * 3600.0
    partition: str | None = None
    memory: str | None = None
    name: str = NAME
    setup: tuple[str, ...] = ()
    sbatch: tuple[tuple[str, str | bool], ...] = ()
    requeue: bool = False
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seconds < 60:
            raise UsageError(f"--time of {self.seconds:.0f} s: Slurm counts in minutes, the least is 1m")
        if self.memory is not None and not re.fullmatch(r"\d+[KMGT]?", self.memory):
            raise UsageError(f"--mem {self.memory!r} is not a size such as 16G or 800M")
        if taken := [name for name, _ in self.sbatch if name in _OURS]:
            raise UsageError(f"--sbatch {taken[0]} is set by nftlab", "nftlab cluster launch --help lists its own options")
        if any(re.match(r"--db(=|$)", word) for word in self.options):
            raise UsageError("--db after -- would show on every node's process list", "put it before --, or set NFTLAB_DB")

    def worker(self) -> list[str]:
        """The words after `nftlab worker`: all devices of a task with several, and until the table is empty unless told otherwise.

        Not --drain-now: then the jobs of a node that dies would find nobody, since the others leave as soon as nothing can be claimed.
        """
        words = list(self.options)
        if self.gpus > 1 and not _has(words, "--device"):
            words = ["--device", "all", *words]
        return words if _has(words, "--drain-now") or _has(words, "--drain") else ["--drain", *words]

    def parameters(self) -> dict[str, Any]:
        """The same for submitit's Slurm executor."""
        asked: dict[str, Any] = {
            "job_name": self.name,
            "time": int(self.seconds // 60),
            "array_parallelism": self.workers,
            "partition": self.partition,
            "gpus_per_node": self.gpus or None,
            "cpus_per_task": self.cpus,
            "srun_args": None if self.cpus is None else [f"--cpus-per-task={self.cpus}"],  # srun does not take sbatch's number
            "stderr_to_stdout": True,
            "setup": [_LISTEN, *self.setup],
            "teardown": _REQUEUE if self.requeue else None,
            "additional_parameters": self._more(),
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _more(self) -> dict[str, Any]:
        """Options of sbatch that submitit has no word for, or another: it would send SIGUSR2."""
        more: dict[str, Any] = {"signal": f"USR1@{min(WARNING, self.seconds // 4):.0f}"}
        # Slurm's own requeue, after a node died or a job of higher priority took it: a worker can be started as often as one likes.
        more["requeue"] = True
        if self.memory is not None:
            more["mem"] = self.memory
        return more | dict(self.sbatch)


def _has(words: list[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)
