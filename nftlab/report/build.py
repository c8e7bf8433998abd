"""Reads what a report needs from the job table. All else in this package is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nftlab import store
from nftlab.report.cells import Cell, cells
from nftlab.report.curves import Rows
from nftlab.report.model import ReportSpec
from nftlab.report.scale import counts

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
    `sweeps`: the files that those jobs were launched from, by sweep name.
    """

    spec: ReportSpec
    cells: tuple[Cell, ...]
    jobs: tuple[JobRow, ...] = ()
    curves: Mapping[str, Rows] = field(default_factory=dict)
    sweeps: Mapping[str, SweepFile] = field(default_factory=dict)


def build(spec: ReportSpec, engine: Engine | None) -> Report:
    """The report as the database stands; without a database (None) every cell is a hole."""
    if engine is None:
        return Report(spec, tuple(cells([], spec)))
    launched = {sweep["name"]: SweepFile(sweep["path"], sweep["source"]) for sweep in store.launched(engine)}
    found = store.jobs(engine, sweep=[name for name in launched if counts(name, spec)])
    filled = tuple(cells(found, spec))
    keys = {job.job_key for cell in filled for candidate in cell.candidates for job in candidate.jobs}
    mine = tuple(job for job in found if job.job_key in keys)
    printed = {key for cell in filled for key in cell.jobs}
    curves = {job.job_key: store.curve(engine, job.job_id) for job in mine if job.job_key in printed}
    named = sorted({job.sweep for job in mine} & launched.keys())
    return Report(spec, filled, mine, curves, {name: launched[name] for name in named})
