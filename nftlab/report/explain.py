"""Walks one printed number back: to the trial that was chosen, those it was chosen among, its jobs, code and sweep file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nftlab.configuration import differing
from nftlab.errors import NotFoundError, nearest
from nftlab.report.build import Report, SweepFile
from nftlab.report.cells import Cell
from nftlab.report.curves import VALIDATION, series
from nftlab.report.export import cell_dict
from nftlab.report.layout import ours, published_text, signed, states
from nftlab.report.model import CHOICES, METRICS, Line
from nftlab.report.notes import sweep_notes
from nftlab.report.provenance import around, code, job_dict, settings, sweep_lines
from nftlab.report.sources import data_lines, data_notes

if TYPE_CHECKING:
    from nftlab.store import JobRow

_CURVE_POINTS = 8


def explain(report: Report, row: str, column: str) -> str:
    """The story of one cell as text. `row`, `column`: a label, a label within its group if that is unique, or a number from 1.

    Raises NotFoundError with the nearest label.
    """
    cell = find_cell(report, row, column)
    parts = [list(_number(report, cell)), list(_choice(report, cell)), _notes(report, cell), *_chosen(report, cell)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def explain_json(report: Report, row: str, column: str) -> dict[str, Any]:
    """The same as plain values: the cell as in `--json`, its `runs`, mean `curve`, the `sweeps` with the lines that set it,
    and `notes` on data that differ and sweeps that do not count.
    """
    cell = find_cell(report, row, column)
    jobs = [job for candidate in cell.candidates for job in candidate.jobs]
    told = series(VALIDATION, [report.curves[key] for key in cell.jobs if key in report.curves])
    names = sorted({job.sweep for job in jobs} & report.sweeps.keys())
    return {
        **cell_dict(cell),
        "report": report.spec.name,
        "metric": report.spec.metric,
        "notes": _notes(report, cell),
        "runs": [job_dict(job) for job in jobs],
        "curve": [{"epoch": epoch, VALIDATION: mean, "n": n} for epoch, mean, n in zip(told.epochs, told.mean, told.n, strict=True)],
        "sweeps": [_sweep(name, report.sweeps[name]) for name in names],
    }


def _notes(report: Report, cell: Cell) -> list[str]:
    return [*data_notes([cell]), *sweep_notes(report)]


def _sweep(name: str, file: SweepFile) -> dict[str, Any]:
    lines = [{"line": number, "text": text} for number, text in sweep_lines(file.text)]
    return {"sweep": name, "path": file.path, "lines": lines}


def find_cell(report: Report, row: str, column: str) -> Cell:
    """The cell in that row and column."""
    place = _find(report.spec.rows, row, "row").label, _find(report.spec.columns, column, "column").label
    return next(cell for cell in report.cells if (cell.row, cell.column) == place)


def _find(lines: Sequence[Line], given: str, what: str) -> Line:
    for name in ("label", "short"):
        found = [line for line in lines if getattr(line, name).casefold() == given.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError(f"{what} {given!r} is in several groups", f"name one of {', '.join(line.label for line in found)}")
    if given.isdecimal() and 1 <= int(given) <= len(lines):
        return lines[int(given) - 1]
    labels = [line.label for line in lines]
    raise NotFoundError(f"no {what} {given!r}{nearest(given, labels)}", f"the {what}s are {', '.join(labels)}")


def _number(report: Report, cell: Cell) -> Iterator[str]:
    yield f"{cell.row}, {cell.column}: {ours(cell)}"
    yield f"{METRICS[report.spec.metric]} in percent, {cell.n} of {cell.asked} seeds; report {report.spec.name}"
    if cell.states:
        yield f"its jobs: {states(cell.states)}"
    if cell.published:
        difference = "" if cell.difference is None else f"; ours − published {signed(cell.difference)}"
        yield f"published: {published_text(cell.published)} ({cell.published.source}){difference}"
    if cell.paired:
        std = "" if cell.paired.std is None else f" ± {cell.paired.std:.2f}"
        seeds = ", ".join(map(str, cell.paired.seeds))
        yield f"difference to {cell.paired.baseline}, paired by seed: {signed(cell.paired.mean)}{std} (seeds {seeds})"


def _choice(report: Report, cell: Cell) -> Iterator[str]:
    """The trials searched, with what the choice saw: validation, never test."""
    if not cell.candidates:
        yield "no job of this cell is asked for" if report.left_out else "no job of this cell was launched"
        return
    whole, launched = cell.searched, len(cell.candidates)
    among = f"{whole} trial{'s' if whole != 1 else ''} searched" + (f" ({launched} launched)" if launched > whole else "")
    yield f"{among}; chosen {CHOICES[report.spec.choose]} (*)"
    names = differing([candidate.config for candidate in cell.candidates])
    for candidate in cell.candidates:
        mark = "*" if cell.chose(candidate) else " "
        error = "–" if candidate.val_error is None else f"{candidate.val_error:.2f} %"
        diverged = f", {candidate.diverged} diverged" if candidate.diverged else ""
        seeds = f"{candidate.n}/{cell.asked} seeds{diverged}"
        yield f"{mark} {candidate.trial_key}  {error}  {seeds}  {settings(candidate.config, names)}".rstrip()


def _chosen(report: Report, cell: Cell) -> Iterator[list[str]]:
    if cell.chosen is None:
        return
    yield ["configuration", *(f"  {name}: {value}" for name, value in cell.chosen.config.items())]
    yield ["data", *(f"  {line}" for line in data_lines(cell.chosen))]
    yield ["jobs", *(f"  {_run(job)}" for job in cell.chosen.jobs)]
    told = series(VALIDATION, [report.curves[key] for key in cell.jobs if key in report.curves])
    if told.epochs:
        step = max(1, -(-len(told.epochs) // _CURVE_POINTS))
        places = sorted({*range(0, len(told.epochs), step), len(told.epochs) - 1})
        yield ["validation error by epoch, mean over seeds", "  " + "  ".join(f"{told.epochs[at]}: {told.mean[at]:.2f}" for at in places)]
    for name in dict.fromkeys(job.sweep for job in cell.chosen.jobs):
        if (file := report.sweeps.get(name)) is not None:
            lines = [f"  {file.path}:{number}: {line}" for number, line in sweep_lines(file.text)]
            yield [f"sweep {name}, the lines that make its trials", *lines]
    yield ["more: nftlab job show KEY"]


def _run(job: JobRow) -> str:
    parts = [job.job_key, f"seed {job.seed}", "diverged" if job.diverged else job.state]
    if job.val_error is not None and job.test_error is not None:
        parts.append(f"validation {job.val_error:.2f} %, test {job.test_error:.2f} % at epoch {job.best_epoch}")
    parts += [f"{job.seconds:.1f} s", f"attempts {job.attempts}", f"code {code(job)}", *around(job)]
    return "  ".join(parts)
