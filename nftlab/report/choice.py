"""Which configuration a cell prints: chosen by validation, never by test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nftlab.store import JobRow

_AND = "+"  # between the keys of trials that a choice seed by seed joins


@dataclass(frozen=True)
class Candidate:
    """One trial of a cell: its jobs in launch order (one per seed), the finished ones, and their mean validation error.

    A choice seed by seed makes one of several trials: `trial_key` joins theirs, `config` has what they have in common.
    """

    trial_key: str
    config: Mapping[str, Any]
    jobs: tuple[JobRow, ...]
    finished: tuple[JobRow, ...]
    val_error: float | None

    @property
    def n(self) -> int:
        return len(self.finished)

    @property
    def diverged(self) -> int:
        return sum(job.diverged for job in self.jobs)

    @property
    def trials(self) -> tuple[str, ...]:
        return tuple(self.trial_key.split(_AND))


def choose(candidates: Sequence[Candidate], asked: int) -> Candidate | None:
    """The trial with the lowest mean validation error among those with all seeds; the earliest launched on ties.

    While no trial is complete: the one with most finished seeds, then fewest diverged ones, then the lowest error. None if nothing
    has finished.
    """

    def rank(candidate: Candidate) -> tuple[bool, int, int, float, int]:
        complete = candidate.n >= asked
        seeds = (0, 0) if complete else (-candidate.n, candidate.diverged)
        return not complete, *seeds, candidate.val_error or 0.0, candidate.jobs[0].job_id

    return min((candidate for candidate in candidates if candidate.n), key=rank, default=None)


def choose_by_seed(candidates: Sequence[Candidate]) -> Candidate | None:
    """For each seed the finished job with the lowest validation error, the earliest launched on ties; None if nothing has finished.

    Seeds at which every trial diverged stay among its jobs, as diverged.
    """
    best: dict[int, JobRow] = {}
    ended = sorted((job for candidate in candidates for job in candidate.finished), key=lambda job: (job.val_error, job.job_id))
    for job in ended:
        best.setdefault(job.seed, job)
    if not best:
        return None
    lost = {job.seed: job for candidate in candidates for job in candidate.jobs if job.diverged and job.seed not in best}
    jobs = tuple(job for _, job in sorted((best | lost).items()))
    finished = tuple(job for job in jobs if job.seed in best)
    keys = dict.fromkeys(job.trial_key for job in finished)
    first, *others = (job.config for job in finished)
    common = {name: value for name, value in first.items() if all(other.get(name, ...) == value for other in others)}
    return Candidate(_AND.join(keys), common, jobs, finished, fmean(job.val_error or 0.0 for job in finished))
