"""A report as Markdown whose tables are aligned, so that a terminal shows them as well as a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import east_asian_width

from nftlab.report.build import Report
from nftlab.report.layout import Grid, Row, Text, cost_grid, main_grid, paired_grid
from nftlab.report.notes import COST, notes

_SPECIAL = re.compile(r"([\\`*|\[]|<(?=[A-Za-z/!?]))")


def markdown(report: Report) -> str:
    """Title, caption, table, paired differences, costs and notes."""
    spec = report.spec
    parts = [f"# {escape(spec.title)}"]
    parts += [escape(spec.caption)] if spec.caption else []
    parts.append(_table(main_grid(report)))
    if (paired := paired_grid(report)) is not None:
        parts += ["Difference to the baseline, paired by seed (below zero: better):", _table(paired)]
    if (cost := cost_grid(report)) is not None:
        parts += [COST, _table(cost)]
    parts.append("\n".join(f"- {escape(note)}" for note in notes(report)))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """The text with what Markdown would take for markup escaped."""
    return _SPECIAL.sub(r"\\\1", text)


def _table(grid: Grid) -> str:
    rows = [["", *map(escape, grid.head)], *(_texts(row, len(grid.head)) for row in grid.rows)]
    widths = [max(3, *(_width(row[place]) for row in rows)) for place in range(len(grid.head) + 1)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in [rows[0], rule, *rows[1:]])


def _texts(row: Row, columns: int) -> list[str]:
    if row.kind == "group":
        return [f"**{escape(row.label)}**", *[""] * columns]
    label = f"*{escape(row.label)}*" if row.kind == "published" else escape(row.label)
    return [label, *(_mark(text) for text in row.texts)]


def _mark(text: Text) -> str:
    return (f"**{escape(text.text)}**" if text.bold else escape(text.text)) + escape(text.behind)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = [texts[0] + " " * (widths[0] - _width(texts[0]))]
    padded += [" " * (width - _width(text)) + text for text, width in zip(texts[1:], widths[1:], strict=True)]
    return f"| {' | '.join(padded)} |"


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
