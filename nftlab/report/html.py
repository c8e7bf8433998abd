"""A report as one HTML page that needs nothing else: no script, no request, readable in the dark, on paper and on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from nftlab.report.build import Report
from nftlab.report.cells import Cell
from nftlab.report.html_jobs import cell_details, job_table, reproduce
from nftlab.report.layout import (
    Grid,
    Row,
    cost_grid,
    main_grid,
    marks,
    mean_std,
    paired_grid,
    published_text,
    signed,
    stands_beside,
    states,
)
from nftlab.report.model import Axis, Curves
from nftlab.report.notes import COST, filled, notes

_STYLE = Path(__file__).with_name("page.css")
_CURVES = (
    "Mean over the seeds of the chosen trial; the band is one sample standard deviation to either side. "
    "A dotted line: from here the method shows the data as they are."
)
_AXIS = "Mean over seeds; the bars are one sample standard deviation to either side."
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: Report) -> str:
    """The page: table, curves, the jobs behind each number, and the commands that make it again."""
    spec = report.spec
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(spec.title)}</title>",
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>",
        "</head>",
        "<body>",
        "<header>",
        f"<h1>{escape(spec.title)}</h1>",
        f"<p>{escape(spec.caption)}</p>" if spec.caption else "",
        _facts(report),
        "</header>",
        "<main>",
        *_numbers(report),
        *_paired(report),
        *_cost(report),
        *_figure(report),
        *cell_details(report),
        *job_table(report),
        *reproduce(report),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _facts(report: Report) -> str:
    done = sum(job.state == "done" for job in report.jobs)
    seconds = sum(job.seconds for job in report.jobs)
    facts = [
        ("report", escape(report.spec.name)),
        ("filled", filled(report)),
        ("jobs done", f"{done} of {len(report.jobs)}"),
        ("training", f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"),
        ("sweeps", escape(", ".join(dict.fromkeys(job.sweep for job in report.jobs)) or "none launched")),
    ]
    return '<ul class="facts">' + "".join(f"<li>{name} <b>{value}</b></li>" for name, value in facts) + "</ul>"


def _numbers(report: Report) -> Iterator[str]:
    spec = report.spec
    cells = iter(enumerate(report.cells))
    yield '<section aria-label="Table">'
    yield '<div class="scroll"><table class="numbers">'
    head = main_grid(report).head
    yield _head(head, "ours<br>published" if spec.published and not stands_beside(spec) else "")
    yield f'<tbody class="{"grouped" if any(row.group for row in spec.rows) else ""}">'
    group = ""
    for row in spec.rows:
        if row.group != group:
            group = row.group
            yield _group(group, len(head)) if group else ""
        texts = "".join(_cell(*next(cells), beside=stands_beside(spec)) for _ in spec.columns)
        yield f'<tr><th scope="row">{escape(row.short)}</th>{texts}</tr>'
    yield "</tbody></table></div>"
    yield '<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes(report)) + "</ul>"
    yield "</section>"


def _head(names: Sequence[str], corner: str = "") -> str:
    return f"<thead><tr><td>{corner}</td>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in names) + "</tr></thead>"


def _group(label: str, columns: int) -> str:
    return f'<tr class="group"><th scope="rowgroup" colspan="{columns + 1}">{escape(label)}</th></tr>'


def _cell(number: int, cell: Cell, *, beside: bool) -> str:
    value = _published(cell)
    difference = "" if cell.difference is None else signed(cell.difference)
    if beside:
        return f'<td>{_ours(number, cell)}</td><td class="faint">{value}</td><td class="faint">{difference}</td>'
    behind = f" ({difference})" if difference else ""
    below = f'<span class="below"><span class="spoken">published </span>{value}{behind}</span>' if value else ""
    return f"<td>{_ours(number, cell)}{below}</td>"


def _published(cell: Cell) -> str:
    if cell.published is None:
        return ""
    value = escape(published_text(cell.published))
    return f"<b>{value}</b>" if cell.published_better else value


def _ours(number: int, cell: Cell) -> str:
    if cell.mean is None:
        tag = f'<span class="tag{_bad(cell)}">{escape(states(cell.states))}</span>' if cell.states else ""
        return f'<span class="hole" aria-label="no result">–</span>{tag}'
    tags = "".join(f'<span class="tag{" bad" if "diverged" in mark else ""}">{escape(mark)}</span>' for mark in marks(cell))
    tags += '<span class="tag" title="other jobs of this cell are queued or running">…</span>' if cell.waiting else ""
    weight = ' class="better"' if cell.better else ""
    return f'<a href="#cell-{number}"{weight}>{mean_std(cell.mean, cell.std)}</a>{tags}'


def _bad(cell: Cell) -> str:
    return " bad" if any(cell.states.get(state) for state in ("diverged", "failed", "quarantined")) else ""


def _paired(report: Report) -> Iterator[str]:
    grid = paired_grid(report)
    if grid is None:
        return
    yield "<section>"
    yield "<h2>Difference to the baseline, paired by seed</h2>"
    why = "For one network, one seed means the same initial weights and the same order of the data. Below zero is better."
    yield f'<p class="faint">{why}</p>'
    yield from _plain(grid)
    yield "</section>"


def _plain(grid: Grid) -> Iterator[str]:
    grouped = any(row.kind == "group" for row in grid.rows)
    yield '<div class="scroll"><table class="numbers">'
    yield _head(grid.head)
    yield f'<tbody class="{"grouped" if grouped else ""}">'
    yield from (_plain_row(row, len(grid.head)) for row in grid.rows)
    yield "</tbody></table></div>"


def _plain_row(row: Row, columns: int) -> str:
    if row.kind == "group":
        return _group(row.label, columns)
    return f'<tr><th scope="row">{escape(row.label)}</th>' + "".join(f"<td>{escape(str(text))}</td>" for text in row.texts) + "</tr>"


def _cost(report: Report) -> Iterator[str]:
    grid = cost_grid(report)
    if grid is None:
        return
    yield "<section>"
    yield "<h2>What it cost</h2>"
    yield f'<p class="faint">{COST}</p>'
    yield from _plain(grid)
    yield "</section>"


def _figure(report: Report) -> Iterator[str]:
    """The report's figure; of a table the learning curves, if any run has recorded an epoch."""
    drawn = report.spec.figure
    if not isinstance(drawn, (Axis, Curves)) and not any(report.curves.values()):
        return
    from nftlab.report.figures import panels_of, svg

    yield "<section>"
    yield f"<h2>{'Figure' if isinstance(drawn, (Axis, Curves)) else 'Learning curves'}</h2>"
    yield f'<p class="faint">{_AXIS if isinstance(drawn, Axis) else _CURVES}</p>'
    yield '<div class="panels">'
    for number, panel in enumerate(panels_of(report)):
        yield f"<figure><figcaption>{escape(panel.title)}</figcaption>{svg(panel, f'p{number}')}</figure>"
    yield "</div></section>"
