"""What stands below a table: how its numbers came about, what its marks mean, and what it does not claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nftlab.report.build import Report
from nftlab.report.layout import stands_beside, states
from nftlab.report.model import METRICS, Choice, is_baseline
from nftlab.report.sources import data_notes

COST = "Seconds of training per job, and how many configurations each number was chosen from:"
_CHOSEN: dict[Choice, str] = {
    "val_error": "of the trial with the lowest mean validation error",
    "val_error_per_seed": "for each seed of the trial with its lowest validation error",
}
PAIRS_FOR_A_TEST = 6  # a paired sign-flip test reaches 2/2ⁿ at best: 0.0625 with five seeds, 0.031 with six


def notes(report: Report) -> list[str]:
    """The notes that this table needs, and the report file's own."""
    return [*_numbers(report), *_marks(report), *_comparisons(report), *data_notes(report.cells), *sweep_notes(report), *report.spec.notes]


def sweep_notes(report: Report) -> Iterator[str]:
    """What a reader would miss: sweeps that are not there, and jobs that do not count."""
    if report.unmatched:
        yield f"No launched sweep matches {', '.join(report.unmatched)}."
    if report.left_out:
        told = ", ".join(f"{count} job{'s' if count > 1 else ''} of {name}" for name, count in report.left_out.items())
        yield f"Left out, because the sweep file no longer asks for them: {told}."


def filled(report: Report) -> str:
    """`12 of 80 cells, 3 of them in part`."""
    there, partly = sum(cell.mean is not None for cell in report.cells), sum(cell.partial for cell in report.cells)
    return f"{there} of {len(report.cells)} cells" + (f", {partly} of them in part" if partly else "")


def _numbers(report: Report) -> Iterator[str]:
    spec = report.spec
    what = METRICS[spec.metric]
    of = f"over {spec.seeds} seeds" if spec.seeds > 1 else "of one seed"
    # cells may share some; of a configuration that rows of two sweeps have, each was a choice of its own
    trials = {tuple(job.job_key for job in candidate.jobs) for cell in report.cells for candidate in cell.eligible}
    searched = f", chosen among {len(trials)} trials in all" if any(cell.searched > 1 for cell in report.cells) else ""
    yield (f"{what.capitalize()} in percent, mean ± sample standard deviation (ddof = 1) {of}, {_CHOSEN[spec.choose]}{searched}.")
    if any(cell.mean is None or cell.partial for cell in report.cells):
        yield f"Filled: {filled(report)}."


def _marks(report: Report) -> Iterator[str]:
    cells, asked = report.cells, report.spec.seeds
    holes = [cell for cell in cells if cell.mean is None]
    if holes:
        jobs = {job.job_key: job for cell in holes for candidate in cell.candidates for job in candidate.jobs}  # cells may share some
        total = Counter("diverged" if job.diverged else job.state for job in jobs.values())
        yield "–: no finished run" + (f"; of their jobs {states(total)}." if states(total) else ".")
    if any(cell.partial for cell in cells):
        yield f"(k/{asked}): only k of the {asked} seeds asked for have finished."
    if any(cell.mean is not None and cell.diverged for cell in cells):
        yield "Diverged seeds have no number: the mean is that of the others, and flatters."
    if any(cell.mean is not None and cell.waiting for cell in cells):
        yield "…: other jobs of this cell are queued or running; its number may change."


def _comparisons(report: Report) -> Iterator[str]:
    spec, cells = report.spec, report.cells
    if spec.baseline and any(cell.better or cell.published_better for cell in cells):
        lines = [*spec.rows, *spec.columns]
        names = list(dict.fromkeys(line.short for line in lines if is_baseline(line, spec.baseline)))
        yield f"Bold: mean below that of {' or '.join(names)}" + (" in the same group." if any(row.group for row in spec.rows) else ".")
    pairs = max((len(cell.paired.seeds) for cell in cells if cell.paired), default=0)
    if 0 < pairs < PAIRS_FOR_A_TEST:
        least = 2 / 2**pairs
        yield (
            f"No significance is claimed: with {pairs} seed{'s' if pairs > 1 else ''} an exact paired test cannot reach p < 0.05 "
            f"(sign-flip test: {min(least, 1):.2g} at best); it takes {PAIRS_FOR_A_TEST}."
        )
    if spec.published:
        below = "" if stands_beside(spec) else ", below ours"
        if any(cell.difference is not None for cell in cells):
            where = "difference" if stands_beside(spec) else "in parentheses"
            yield f"Published{below}: {spec.source}; {where}: ours − published."
        else:
            yield f"Published{below}: {spec.source}."
