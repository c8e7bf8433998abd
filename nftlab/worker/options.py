"""What a worker may be told."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from nftlab.errors import UsageError
from nftlab.track import check_tracker


def named(device: str) -> list[str]:
    """The devices of a comma list, in which only the CPU may come twice; a single word is left to `WorkerOptions`.

    Raises UsageError for anything in a list but cpu and cuda:N.
    """
    words = [word.strip() for word in device.split(",")]
    if len(words) == 1:
        return words
    devices = ["cuda:0" if word == "cuda" else word for word in words]
    for name in devices:
        if not re.fullmatch(r"cpu|cuda:\d+", name):
            raise UsageError(f"{name!r} in device {device!r} is not cpu or cuda:N")
        if name != "cpu" and devices.count(name) > 1:
            raise UsageError(f"device {device!r} names {name} twice")
    return devices


def _lease() -> float:
    written = os.environ.get("NFTLAB_LEASE") or "60"
    try:
        return float(written)
    except ValueError:
        raise UsageError(f"NFTLAB_LEASE={written} is not a number of seconds") from None


def _runs() -> Path:
    return Path(os.environ.get("NFTLAB_RUNS") or "runs")


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works; raises UsageError for what does not go together.

    `db`: URL, None: the default. `drain`: leave when nothing is queued, backing off or running; `drain_now`: when nothing
    is claimable. `max_jobs`: leave after so many jobs have ended. `device`: "auto", "cpu", "cuda" or "cuda:N". `pack`: "auto" or the
    most jobs to train as one program. `lease`: seconds a claim lives without a beat (NFTLAB_LEASE). `stalled_after`:
    seconds without progress that count as a hang, None: the larger of 10 minutes and five median epochs. `runs`: folder of
    checkpoints and tracker files (NFTLAB_RUNS). `track`: "wandb" or "none". `strict`: refuse jobs launched from other
    code. `deterministic`: bit-identical repetition on CUDA, slower. `grace`: seconds to finish an epoch after
    SIGTERM, and to leave one whose jobs were cancelled. `patience`: seconds to wait, with nothing left to train, for a job table
    that does not answer. `budget`: seconds of work, None: without end. `max_failures`: failures of different jobs in a row that
    mean the machine is sick.
    """

    db: str | None = None
    drain: bool = False
    drain_now: bool = False
    max_jobs: int | None = None
    device: str = "auto"
    pack: int | str = "auto"
    lease: float = field(default_factory=_lease)
    stalled_after: float | None = None
    runs: Path = field(default_factory=_runs)
    track: str = "wandb"
    strict: bool = False
    deterministic: bool = False
    grace: float = 20.0
    patience: float = 600.0
    budget: float | None = None
    max_failures: int = 5

    def __post_init__(self) -> None:
        if self.drain and self.drain_now:
            raise UsageError("--drain and --drain-now exclude each other")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"device {self.device!r} is not auto, cpu, cuda, cuda:N, all or a list such as cuda:0,cuda:1")
        if self.pack != "auto" and not (re.fullmatch(r"\d{1,6}", str(self.pack)) and int(self.pack) >= 1):
            raise UsageError(f"pack {self.pack!r} is neither auto nor a number of jobs from 1 to 999999")
        check_tracker(self.track)  # before hours of training without the curves that were asked for
        for name in ("lease", "grace", "patience", "max_failures"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be greater than 0")
        for name in ("max_jobs", "stalled_after", "budget"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name.replace('_', '-')} must be greater than 0")
