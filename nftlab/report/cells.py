"""From jobs to printed numbers. Pure: the same jobs and report file give the same cells.

Configurations are chosen by validation, never by test, and only among those that have every seed asked for, as long as
there is one: a configuration with fewer seeds cannot win by luck. A report may ask for a choice seed by seed instead.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from nftlab.report.choice import Candidate, choose, choose_by_seed
from nftlab.report.model import Line, Metric, Published, ReportSpec
from nftlab.report.scale import among, counts
from nftlab.store import OPEN

if TYPE_CHECKING:
    from nftlab.store import JobRow

Placed = tuple["JobRow", Sequence[Line], Sequence[Line]]


@dataclass(frozen=True)
class Paired:
    """Differences to the baseline's cell seed by seed: mean, sample standard deviation (None for one seed), and the seeds."""

    baseline: str
    mean: float
    std: float | None
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """One printed number: mean and sample standard deviation (ddof = 1, None for one seed) of the metric, in percent.

    `jobs` are the keys it comes from, `seconds` their mean training time, `chosen` their trial among `candidates` (a choice seed by
    seed may join several). `states` counts all jobs of the cell; `partial`: fewer seeds than asked for; `waiting`: trials still run,
    so the choice may change. `difference` is ours − published. `better`, `published_better`: the mean is below the baseline's (ours:
    both complete). `by_seed`: each seed has a choice of its own.
    """

    row: str
    column: str
    asked: int
    mean: float | None = None
    std: float | None = None
    seconds: float | None = None
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    published: Published | None = None
    difference: float | None = None
    paired: Paired | None = None
    better: bool = False
    published_better: bool = False
    by_seed: bool = False

    @property
    def n(self) -> int:
        return self.chosen.n if self.chosen else 0

    @property
    def jobs(self) -> tuple[str, ...]:
        return tuple(job.job_key for job in self.chosen.finished) if self.chosen else ()

    @property
    def partial(self) -> bool:
        return self.mean is not None and self.n < self.asked

    @property
    def eligible(self) -> tuple[Candidate, ...]:
        """The trials that the choice was made among: those with every seed asked for; while there is none, and seed by seed, with any."""
        complete = () if self.by_seed else tuple(candidate for candidate in self.candidates if candidate.n >= self.asked)
        return complete or tuple(candidate for candidate in self.candidates if candidate.n)

    @property
    def searched(self) -> int:
        """How many these are: the one number that every format tells."""
        return len(self.eligible)

    @property
    def diverged(self) -> int:
        """Diverged jobs of the chosen trial; of all trials when none could be chosen."""
        return self.chosen.diverged if self.chosen else sum(candidate.diverged for candidate in self.candidates)

    @property
    def waiting(self) -> bool:
        return any(self.states.get(state) for state in OPEN)

    def chose(self, candidate: Candidate) -> bool:
        """Whether the printed number comes from this trial, or in part."""
        return self.chosen is not None and candidate.trial_key in self.chosen.trials


def cells(jobs: Iterable[JobRow], spec: ReportSpec) -> list[Cell]:
    """The cells of a report, row by row. In a cell a trial launched in several sweeps counts each seed once: the first that is done."""
    return filled(place(jobs, spec), spec)


def place(jobs: Iterable[JobRow], spec: ReportSpec) -> Iterator[Placed]:
    """Each job that belongs to some cell of a report, as given, with its rows and columns, found once for all seeds of a trial."""
    known: dict[tuple[str, str], tuple[list[Line], list[Line]]] = {}
    for job in jobs:
        trial = job.sweep, job.trial_key
        if trial not in known:
            inside = counts(job.sweep, spec)
            rows, columns = ([line for line in axis if inside and _belongs(job, line, spec)] for axis in (spec.rows, spec.columns))
            known[trial] = rows, columns
        rows, columns = known[trial]
        if rows and columns:
            yield job, rows, columns


def filled(placed: Iterable[Placed], spec: ReportSpec) -> list[Cell]:
    """`cells` of jobs that have their places."""
    mine: dict[tuple[str, str], list[JobRow]] = {(row.label, column.label): [] for row in spec.rows for column in spec.columns}
    for job, rows, columns in placed:
        for row, column in itertools.product(rows, columns):
            mine[row.label, column.label].append(job)
    by_place = {(row, column): _cell(row, column, jobs, spec) for (row, column), jobs in mine.items()}
    return [_compared(cell, by_place, spec) for cell in by_place.values()]


def _belongs(job: JobRow, line: Line, spec: ReportSpec) -> bool:
    return (not line.sweeps or among(job.sweep, line.sweeps, spec.scale)) and line.holds(job.config)


def finished(job: JobRow, metric: Metric) -> bool:
    """Whether a job has a number to print: done, not diverged."""
    numbers = (job.val_error, getattr(job, metric))
    return job.state == "done" and not job.diverged and all(number is not None and isfinite(number) for number in numbers)


def _cell(row: str, column: str, jobs: Sequence[JobRow], spec: ReportSpec) -> Cell:
    by_trial: dict[str, list[JobRow]] = {}
    for job in sorted(jobs, key=lambda job: job.job_id):
        by_trial.setdefault(job.trial_key, []).append(job)
    candidates = tuple(_candidate(found, spec.metric) for found in by_trial.values())
    by_seed = spec.choose == "val_error_per_seed"
    chosen = choose_by_seed(candidates) if by_seed else choose(candidates, spec.seeds)
    states = Counter("diverged" if job.diverged else job.state for candidate in candidates for job in candidate.jobs)
    published = spec.published.get((row, column))
    mean, std = spread([getattr(job, spec.metric) for job in chosen.finished]) if chosen else (None, None)
    seconds = fmean(job.seconds for job in chosen.finished) if chosen else None
    difference = mean - published.mean if mean is not None and published else None
    told = dict(sorted(states.items()))
    return Cell(row, column, spec.seeds, mean, std, seconds, chosen, candidates, told, published, difference, by_seed=by_seed)


def _candidate(jobs: Sequence[JobRow], metric: Metric) -> Candidate:
    by_seed: dict[int, JobRow] = {}
    for job in jobs:
        known = by_seed.get(job.seed)
        if known is None or (job.state == "done" and known.state != "done"):
            by_seed[job.seed] = job
    done = tuple(job for job in by_seed.values() if finished(job, metric))
    errors = [job.val_error for job in done if job.val_error is not None]
    return Candidate(jobs[0].trial_key, jobs[0].config, tuple(by_seed.values()), done, fmean(errors) if errors else None)


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (ddof = 1; None for one value)."""
    return fmean(values), stdev(values) if len(values) > 1 else None


def _compared(cell: Cell, by_place: Mapping[tuple[str, str], Cell], spec: ReportSpec) -> Cell:
    """The cell with what its baseline tells: paired differences, and whether it is better."""
    row = next(line for line in spec.rows if line.label == cell.row)
    column = next(line for line in spec.columns if line.label == cell.column)
    place = spec.baseline_of(row, column)
    if place is None:
        return cell
    base = by_place[place[0].label, place[1].label]
    label = base.row if place[0] != row else base.column
    return replace(
        cell,
        paired=_paired(cell, base, label, spec.metric),
        better=_below(cell.mean, base.mean) and not cell.partial and not base.partial,
        published_better=bool(cell.published and base.published and cell.published.mean < base.published.mean),
    )


def _below(mean: float | None, base: float | None) -> bool:
    """Whether it is below as printed: two equal numbers, one of them bold, would tell of a difference that nobody sees."""
    return mean is not None and base is not None and round(mean, 2) < round(base, 2)


def _paired(cell: Cell, base: Cell, label: str, metric: Metric) -> Paired | None:
    if cell.chosen is None or base.chosen is None:
        return None
    theirs = {job.seed: getattr(job, metric) for job in base.chosen.finished}
    ours = {job.seed: getattr(job, metric) for job in cell.chosen.finished}
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    return Paired(label, *spread([ours[seed] - theirs[seed] for seed in seeds]), seeds) if seeds else None
