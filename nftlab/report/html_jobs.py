"""The lower part of the page: for each number its trial and jobs, then all jobs, then how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from nftlab.configuration import differing
from nftlab.report.build import Report
from nftlab.report.cells import Cell
from nftlab.report.choice import Candidate
from nftlab.report.layout import ours
from nftlab.report.model import CHOICES
from nftlab.report.provenance import around, code, settings
from nftlab.report.scale import command
from nftlab.resources import as_named

if TYPE_CHECKING:
    from nftlab.store import JobRow

_JOBS = ("job", "sweep", "configuration", "seed", "state", "attempts", "epochs", "best", "val. %", "test %", "seconds", "code", "ran on")
_TRIALS = ("trial", "what sets it apart", "val. error, %", "seeds", "diverged")
_NUMBERS = {"diverged", "seed", "attempts", "epochs", "best", "val. %", "test %", "seconds", "val. error, %", "seeds"}


def cell_details(report: Report) -> Iterator[str]:
    """A folded block per number: the trials it was chosen among, and the chosen configuration."""
    if not any(cell.candidates for cell in report.cells):
        return
    yield "<section>"
    yield "<h2>Where each number comes from</h2>"
    how = CHOICES[report.spec.choose]
    yield f'<p class="faint">Chosen {how}; test errors of trials that were not chosen play no part.</p>'
    for number, cell in enumerate(report.cells):
        if cell.candidates:
            yield from _details(number, cell)
    yield "</section>"


def _details(number: int, cell: Cell) -> Iterator[str]:
    begun = [candidate for candidate in cell.candidates if any(job.attempts for job in candidate.jobs)]
    names = differing([candidate.config for candidate in begun])
    yield f'<details id="cell-{number}"><summary>{escape(cell.row)}, {escape(cell.column)}: <b>{escape(str(ours(cell)))}</b></summary><div>'
    if begun:
        rows = [_candidate(candidate, names, cell) for candidate in begun]
        yield from _table(_TRIALS, rows, chosen=[cell.chose(candidate) for candidate in begun])
    if waiting := len(cell.candidates) - len(begun):
        yield f"<p>Trials that have not begun: {waiting}.</p>"
    if cell.chosen is not None:
        config = escape(" ".join(f"{name}={value}" for name, value in cell.chosen.config.items()))
        jobs = ", ".join(f'<a href="#job-{escape(key)}"><code>{escape(key)}</code></a>' for key in cell.jobs)
        yield f"<p>Configuration <code>{config}</code></p>"
        yield f"<p>Jobs {jobs}</p>"
    yield "</div></details>"


def _candidate(candidate: Candidate, names: Sequence[str], cell: Cell) -> list[str]:
    error = "–" if candidate.val_error is None else f"{candidate.val_error:.2f}"
    apart = escape(settings(candidate.config, names)) or "–"
    return [f"<code>{escape(candidate.trial_key)}</code>", apart, error, f"{candidate.n}/{cell.asked}", str(candidate.diverged)]


def job_table(report: Report) -> Iterator[str]:
    """The jobs of the report's cells that have begun, in launch order, and how many have not: a search may have thousands."""
    if not report.jobs:
        return
    begun = [job for job in report.jobs if job.attempts]
    names = differing([*{job.trial_key: job.config for job in begun}.values()])
    waiting = len(report.jobs) - len(begun)
    yield "<section>"
    yield "<h2>Jobs</h2>"
    told = f", {waiting} of them not begun" if waiting else ""
    yield f"<details><summary>{len(report.jobs)} jobs, in launch order{told}</summary><div>"
    if begun:
        yield from _table(_JOBS, [_job(job, names) for job in begun], ids=[f"job-{job.job_key}" for job in begun])
    yield "</div></details></section>"


def _job(job: JobRow, names: Sequence[str]) -> list[str]:
    state = "diverged" if job.diverged else job.state
    return [
        f"<code>{escape(job.job_key)}</code>",
        escape(job.sweep),
        escape(settings(job.config, names)) or "–",
        str(job.seed),
        escape(state) + (f'<br><span class="faint">{escape(job.error)}</span>' if job.error else ""),
        str(job.attempts),
        str(job.epoch),
        _number(job.best_epoch, 0),
        _number(job.val_error, 2),
        _number(job.test_error, 2),
        _number(job.seconds, 1),
        escape(code(job)) if job.attempts else "–",
        escape(", ".join(around(job))) or "–",
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], chosen: Sequence[bool] = (), ids: Sequence[str] = ()) -> Iterator[str]:
    """A plain table; the texts of its rows are HTML already."""
    classes = [' class="number"' if name in _NUMBERS else "" for name in head]
    yield '<div class="scroll"><table class="list">'
    yield (
        "<thead><tr>"
        + "".join(f'<th scope="col"{c}>{escape(name)}</th>' for name, c in zip(head, classes, strict=True))
        + "</tr></thead><tbody>"
    )
    for place, row in enumerate(rows):
        mark = ' class="chosen"' if chosen and chosen[place] else ""
        anchor = f' id="{escape(ids[place])}"' if ids else ""
        yield f"<tr{mark}{anchor}>" + "".join(f"<td{c}>{text}</td>" for text, c in zip(row, classes, strict=True)) + "</tr>"
    yield "</tbody></table></div>"


def reproduce(report: Report) -> Iterator[str]:
    """The commands that make this page again, and the sweep files as they were launched."""
    commits = list(dict.fromkeys(job.git_sha for job in report.jobs if job.git_sha))
    commands = [f"git checkout {shlex.quote(commits[0])}"] if len(commits) == 1 else []
    commands += [f"nftlab sweep launch {shlex.quote(as_named(file.path))}" for file in report.sweeps.values()]
    commands += ["nftlab worker --drain", command(report.spec)]
    yield "<section>"
    yield "<h2>How to reproduce it</h2>"
    if len(commits) > 1:
        yield f"<p>These jobs ran {len(commits)} commits: {', '.join(f'<code>{escape(sha)}</code>' for sha in commits)}.</p>"
    if any(not job.git_sha and job.circumstances for job in report.jobs):
        yield "<p>Some jobs ran code of no commit: a wheel, or a copy without git.</p>"
    if any(job.git_sha and job.circumstances.get("dirty") for job in report.jobs):
        yield "<p>Some jobs ran code with uncommitted changes: the commit alone does not give it back.</p>"
    if report.spec.scale < 1:
        told = f"nftlab paper PAPER ITEM --scale {report.spec.scale:g} --launch"
        yield f"<p>The scaled-down sweep files stand below: save them under these names, or let <code>{told}</code> make them.</p>"
    yield f"<pre>{escape(chr(10).join(commands))}</pre>"
    for name, file in report.sweeps.items():
        text = f"<div><pre>{escape(file.text)}</pre></div>"
        yield f"<details><summary>The file of sweep <b>{escape(name)}</b> as it was launched</summary>{text}</details>"
    yield "</section>"
