"""Reads what a report needs from the job table. All else in this package is pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nftlab import store
from nftlab.errors import SpecError
from nftlab.report.cells import Cell, cells, filled, place
from nftlab.report.curves import Rows
from nftlab.report.model import ReportSpec
from nftlab.report.scale import counts, unmatched

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from nftlab.store import JobRow


@dataclass(frozen=True)
class SweepFile:
    """A sweep as it was launched: the file's path and text."""

    path: str
    text: str


@dataclass(frozen=True)
class Report:
    """A filled table. `jobs`: all jobs of its cells in launch order; `curves`: epoch rows of the printed jobs by job key;
    `sweeps`: the files that those jobs were launched from, by sweep name. `left_out`: how many jobs of a sweep would be among them,
    did its file still ask for them. `unmatched`: what of the sweeps that the report names no launched one matches, as notes name it.
    """

    spec: ReportSpec
    cells: tuple[Cell, ...]
    jobs: tuple[JobRow, ...] = ()
    curves: Mapping[str, Rows] = field(default_factory=dict)
    sweeps: Mapping[str, SweepFile] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()


def build(spec: ReportSpec, engine: Engine | None) -> Report:
    """The report as the database stands; without a database (None) every cell is a hole."""
    if engine is None:
        return Report(spec, tuple(cells([], spec)))
    launched = {sweep["name"]: SweepFile(sweep["path"], sweep["source"]) for sweep in store.launched(engine)}
    found = store.jobs(engine, sweep=[name for name in launched if counts(name, spec)])
    placed = list(place(found, spec))
    inside = [job for job, _, _ in placed]
    dropped = _dropped(engine, found, inside, launched)
    numbers = tuple(filled([each for each in placed if each[0].job_key not in dropped], spec))
    keys = {job.job_key for cell in numbers for candidate in cell.candidates for job in candidate.jobs}
    mine = tuple(job for job in inside if job.job_key in keys)
    printed = {key for cell in numbers for key in cell.jobs}
    curves = {job.job_key: store.curve(engine, job.job_id) for job in mine if job.job_key in printed}
    named = sorted({job.sweep for job in mine} & launched.keys())
    left_out = dict(sorted(Counter(job.sweep for job in inside if job.job_key in dropped).items()))
    missing = tuple(unmatched(list(launched), spec)) if launched else ()
    return Report(spec, numbers, mine, curves, {name: launched[name] for name in named}, left_out, missing)


def _dropped(engine: Engine, found: Sequence[JobRow], inside: Sequence[JobRow], files: Mapping[str, SweepFile]) -> set[str]:
    """The keys of those jobs `inside` the report that their sweep's file, as launched last, no longer asks for.

    A file is expanded for it, so only those of sweeps that the report prints are. A launch adds every job that its file asks for: where
    one is not among those `found`, this nftlab reads the file otherwise than the one that launched it, and all its jobs are kept.
    """
    runs: dict[str, dict[tuple[str, int], str]] = {job.sweep: {} for job in inside}
    for job in found:
        if job.sweep in runs:
            runs[job.sweep][job.trial_key, job.seed] = job.job_key
    dropped: set[str] = set()
    for name, recorded in runs.items():
        try:
            asked, _ = store.asked_for(engine, name, files[name].text)
        except SpecError:  # of another nftlab
            continue
        if asked <= recorded.keys():
            dropped |= {key for run, key in recorded.items() if run not in asked}
    return dropped
