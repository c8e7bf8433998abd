"""Tables as a terminal of any width can show them: nothing is cut."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LEAST = 20  # characters of a text that stand in one line, however narrow its column

Row = Sequence[str]


def draw(screen: Console, columns: Row, rows: Sequence[Row], right: Collection[str]) -> list[str]:
    """Draw rows under their columns; `right` are those of numbers. Returns the columns that were left out.

    Where they are too wide, columns of nothing but zeros are left out, then texts are folded between words; the first column and
    numbers never are. Where that is not enough each row becomes a small block of lines.
    """
    from rich.text import Text

    left_out: list[str] = []
    if not rows:
        screen.print(Text(" ".join(columns), style="bold"))
        return []
    if _room(screen, [_width(cells) for cells in _by_column(columns, rows)]) < 0:
        left_out = [name for at, name in enumerate(columns) if at and name in right and all(row[at] == "0" for row in rows)]
        kept = [at for at, name in enumerate(columns) if name not in left_out]
        columns, rows = [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]
    if widths := _folded(screen, columns, rows, right):
        screen.print(_table(columns, rows, right, widths))
        return left_out
    for row in rows:
        screen.print(Text(row[0], style="bold"), soft_wrap=True)  # soft: what is longer than a line is one piece when it is copied
        for line in _block(columns, row, screen.width):
            screen.print(Text(line), soft_wrap=True)
    return left_out


def _folded(screen: Console, columns: Row, rows: Sequence[Row], right: Collection[str]) -> list[int] | None:
    """How wide each column is, the widest texts folded first; None where even that does not fit."""
    by_column = _by_column(columns, rows)
    widths = [_width(cells) for cells in by_column]
    if _room(screen, widths) >= 0:
        return widths
    least = list(widths)
    for at, cells in enumerate(by_column):
        if at and columns[at] not in right:
            words = [word for cell in cells for word in cell.split()]  # so that no path and no name is broken
            least[at] = max(_width(words), min(widths[at], LEAST))
    if _room(screen, least) < 0:
        return None
    while _room(screen, widths) < 0:
        widths[max((at for at in range(len(widths)) if widths[at] > least[at]), key=widths.__getitem__)] -= 1
    return widths


def _table(columns: Row, rows: Sequence[Row], right: Collection[str], widths: Sequence[int]) -> Table:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name, width in zip(columns, widths, strict=True):
        drawn.add_column(Text(name), justify="right" if name in right else "left", width=width)
    for row in rows:
        drawn.add_row(*[Text(cell, overflow="fold") for cell in row])  # Text: a name like "[red]" is a name, not markup
    return drawn


def _block(columns: Row, row: Row, width: int) -> Iterator[str]:
    """The cells after the first with their names, as many in a line as fit."""
    lines: list[str] = []
    for name, cell in zip(columns[1:], row[1:], strict=True):
        if cell and lines and _width([f"  {lines[-1]}  {name}: {cell}"]) <= width:
            lines[-1] += f"  {name}: {cell}"
        elif cell:
            lines.append(f"{name}: {cell}")
    for line in lines:
        yield from textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _by_column(columns: Row, rows: Sequence[Row]) -> list[Row]:
    return [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]


def _width(cells: Row) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cells))


def _room(screen: Console, widths: Sequence[int]) -> int:
    """What is left of a line, with a space between columns."""
    return screen.width - sum(widths) - len(widths) + 1
