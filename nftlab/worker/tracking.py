"""What trackers are told of a worker's jobs: where their curves go, what earlier attempts recorded, how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Engine

from nftlab.errors import SpecError
from nftlab.spec import wandb_places
from nftlab.store import ACCEPTED, Claim, JobRow, Outcome, curve, jobs, sources
from nftlab.track import Mirror, Owed, Say, TrackedJob, close_trackers, open_tracker
from nftlab.worker.options import WorkerOptions

DONE, HANDED_BACK = 0, 75  # how trackers are told that an attempt ended


class Tracking:
    """A worker's `mirror`, and what it takes to start a job there. `code` is what the worker runs, as it stands when a job starts."""

    def __init__(self, engine: Engine, options: WorkerOptions, code: Mapping[str, str | None], say: Say) -> None:
        self._engine, self._code, self._tracked = engine, code, options.track != "none"
        self._owed = Owed(options.runs / "owed")
        opener = partial(open_tracker, options.track, options.runs) if self._tracked else None
        self.mirror = Mirror(opener, say, partial(close_trackers, options.track), self._owed)

    def start(self, claims: Sequence[Claim | JobRow], files: Mapping[str, str]) -> None:
        """Jobs are about to train; `files` are those of their sweeps by name.

        All are read before the first is started, as reading may fail (OutageError).
        """
        if not self._tracked:
            return
        for job in [self._job(claim, _places(files.get(claim.sweep, ""))) for claim in claims]:
            self.mirror.start(job)

    def catch_up(self) -> None:
        """Gives trackers what they lack of jobs that ended just before their worker on this host was killed."""
        for key in self._owed.orphans() if self._tracked else []:
            for row in jobs(self._engine, key=key):
                if row.state in ACCEPTED and self._owed.adopt(key):
                    self.start([row], sources(self._engine, {row.sweep}))
                    self.mirror.close(key, summary(row), DONE)

    def _job(self, job: Claim | JobRow, places: dict[str, str]) -> TrackedJob:
        rows = curve(self._engine, job.job_id) if job.epoch else []
        history = tuple((row.pop("epoch"), {name: value for name, value in row.items() if name != "seconds"}) for row in rows)
        return TrackedJob(job.job_key, job.sweep, job.trial_key, job.seed, job.config, self._code["git_sha"], history, **places)


def summary(end: Outcome | JobRow) -> dict[str, Any]:
    """What trackers show of a finished job."""
    return {"best_epoch": end.best_epoch, "val/error": end.val_error, "test/error": end.test_error, "diverged": end.diverged}


@lru_cache(maxsize=64)
def _places(source: str) -> dict[str, str]:
    try:
        return wandb_places(source)
    except SpecError:  # of another nftlab
        return {}
