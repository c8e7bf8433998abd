"""The table as texts: what every renderer prints, before any markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nftlab.report.build import Report
from nftlab.report.cells import Cell
from nftlab.report.model import Line, Published, ReportSpec

_BESIDE = 2  # columns up to which the table stays narrow enough
_STATES = ("diverged", "failed", "quarantined", "cancelled", "pruned", "running", "queued", "done")


@dataclass(frozen=True)
class Text:
    """What stands in one place of a table, and what stands `behind` it, never bold."""

    text: str
    behind: str = ""
    bold: bool = False

    def __str__(self) -> str:
        return self.text + self.behind


@dataclass(frozen=True)
class Row:
    """A row of a table: a heading over a group, our numbers, or the published ones below them."""

    kind: Literal["group", "ours", "published"]
    label: str
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A table of texts: `head` over its columns, the first of which holds labels and has no heading."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]


def main_grid(report: Report) -> Grid:
    """The report's table: our numbers and, where there are any, the published ones."""
    beside = stands_beside(report.spec)

    def rows(line: Line, cells: Sequence[Cell]) -> list[Row]:
        if beside:
            return [Row("ours", line.short, tuple(text for cell in cells for text in (ours(cell), *_beside(cell))))]
        mine = [Row("ours", line.short, tuple(ours(cell) for cell in cells))]
        if any(cell.published for cell in cells):
            mine.append(Row("published", "published", tuple(_below(cell) for cell in cells)))
        return mine

    columns = [column.label for column in report.spec.columns]
    head = [text for column in columns for text in (column, "published", "difference")] if beside else columns
    return Grid(tuple(head), _rows(report, rows))


def stands_beside(spec: ReportSpec) -> bool:
    """Whether published values stand in columns of their own; else they stand below ours."""
    return bool(spec.published) and len(spec.columns) <= _BESIDE


def paired_grid(report: Report) -> Grid | None:
    """Differences to the baseline seed by seed, for the cells that have any; None if no cell has."""

    def rows(line: Line, cells: Sequence[Cell]) -> list[Row]:
        return [Row("ours", line.short, tuple(_paired(cell) for cell in cells))] if any(cell.paired for cell in cells) else []

    found = _rows(report, rows)
    return Grid(tuple(column.label for column in report.spec.columns), found) if found else None


def cost_grid(report: Report) -> Grid | None:
    """What each number cost and what it was chosen from; None while there is no number."""

    def rows(line: Line, cells: Sequence[Cell]) -> list[Row]:
        told = tuple(cost(cell) for cell in cells)
        return [Row("ours", line.short, told)] if any(text.text for text in told) else []

    found = _rows(report, rows)
    return Grid(tuple(column.label for column in report.spec.columns), found) if found else None


def _rows(report: Report, make: Callable[[Line, Sequence[Cell]], list[Row]]) -> tuple[Row, ...]:
    """The rows made of each line's cells, under headings where groups begin."""
    by_place = {(cell.row, cell.column): cell for cell in report.cells}
    rows: list[Row] = []
    group = ""
    for line in report.spec.rows:
        made = make(line, [by_place[line.label, column.label] for column in report.spec.columns])
        if made and line.group != group:
            group = line.group
            rows += [Row("group", group)] if group else []
        rows += made
    return tuple(rows)


def ours(cell: Cell) -> Text:
    """`7.17 ± 0.17`; what is missing or odd stands behind it: `(2/3, 1 diverged)`, `(n = 5)`, or `…` while trials still run."""
    if cell.mean is None:
        return Text("–", f" ({states(cell.states)})" if cell.states else "")
    behind = f" ({', '.join(marks(cell))})" if marks(cell) else ""
    return Text(mean_std(cell.mean, cell.std), behind + (" …" if cell.waiting else ""), cell.better)


def marks(cell: Cell) -> list[str]:
    """What a reader must know of a printed number: seeds missing or more than asked for, seeds diverged."""
    seeds = [f"{cell.n}/{cell.asked}"] if cell.partial else [f"n = {cell.n}"] if cell.n != cell.asked else []
    return seeds + ([f"{cell.diverged} diverged"] if cell.diverged else [])


def states(counted: Mapping[str, int]) -> str:
    """`1 failed, 2 queued`: how a cell's jobs stand; `done` ones that diverged count as diverged only."""
    return ", ".join(f"{counted[state]} {state}" for state in _STATES if counted.get(state))


def mean_std(mean: float, std: float | None) -> str:
    """`7.17 ± 0.17`, or `7.17` where there is no deviation; percent."""
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def signed(value: float) -> str:
    """`+0.30` or `−0.30`, zero without a sign."""
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def published_text(published: Published) -> str:
    return mean_std(published.mean, published.std)


def _beside(cell: Cell) -> tuple[Text, Text]:
    if cell.published is None:
        return Text(""), Text("")
    value = Text(published_text(cell.published), bold=cell.published_better)
    return value, Text("" if cell.difference is None else signed(cell.difference))


def _below(cell: Cell) -> Text:
    if cell.published is None:
        return Text("")
    behind = "" if cell.difference is None else f" ({signed(cell.difference)})"
    return Text(published_text(cell.published), behind, cell.published_better)


def cost(cell: Cell) -> Text:
    """`93.7 s, of 324 configurations`; those not in the choice yet were launched all the same."""
    if cell.seconds is None:
        return Text("")
    whole, launched = cell.searched, len(cell.candidates)
    among = f", of {whole} configuration{'s' if whole != 1 else ''}" + (f" ({launched} launched)" if launched > whole else "")
    return Text(f"{cell.seconds:.1f} s" if cell.seconds < 1000 else f"{cell.seconds:,.0f} s", among)


def _paired(cell: Cell) -> Text:
    if cell.paired is None:
        return Text("")
    std = "" if cell.paired.std is None else f" ± {cell.paired.std:.2f}"
    n = len(cell.paired.seeds)
    return Text(signed(cell.paired.mean) + std, f" (n = {n})" if n != cell.asked else "")
