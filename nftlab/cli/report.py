"""`nftlab report`: the table of a paper, from the job table."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nftlab.cli.database import to_read
from nftlab.cli.options import Db, Json
from nftlab.cli.output import busy, console, emit, emit_json, printable, say
from nftlab.errors import DiskError, UsageError

if TYPE_CHECKING:
    from nftlab.report import Grid, Report

OUT = Path("reports/out")
Scale = Annotated[float, typer.Option("--scale", metavar="S", help="Report on sweeps that `nftlab paper --scale S` scaled down.")]


def report(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A report, such as nft/quick, or a report file.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the reports that there are.")] = False,
    fmt: Annotated[str | None, typer.Option("--format", metavar="F", help="Print md, csv, latex, html, json or svg.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the files here instead of reports/out.")] = None,
    scale: Scale = 1.0,
    explained: Annotated[
        tuple[str, str] | None, typer.Option("--explain", metavar="ROW COL", help="Walk one cell back to its jobs.")
    ] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Print a paper's table, mean ± std over seeds.

    Published numbers stand beside. On a terminal the table is drawn, in a pipe it is Markdown; files are written to reports/out,
    for a figure also the drawing.
    """
    from nftlab import report as library

    if listed == (name is not None):
        raise UsageError("name one report, or see them with --list")
    if as_json and fmt not in (None, "json"):
        raise UsageError(f"--json and --format {fmt} exclude each other")
    if explained is not None and fmt is not None:
        raise UsageError(f"--explain and --format {fmt} exclude each other", "--explain prints text, with --json JSON")
    if name is None:
        return emit_json(library.reports()) if as_json else emit("\n".join(library.reports()))
    if fmt is not None and fmt not in library.FORMATS:
        raise UsageError(f"--format {fmt!r} is not one of {', '.join(library.FORMATS)}")
    built = build(name, db, scale)
    if explained is not None:
        return emit_json(library.explain_json(built, *explained)) if as_json else emit(printable(library.explain(built, *explained)))
    show(built, "json" if as_json else fmt)
    if built.jobs:
        write(built, out)
    elif out is not None:
        say(f"nothing was written to {out}: the job table has no run for this report")
    if built.spec.needs_networks:
        say(f"the picture: nftlab picture {shlex.quote(name)}" + (f" --scale {scale:g}" if scale < 1 else ""))


def build(name: str, db: str | None, scale: float = 1.0) -> Report:
    """The report of that name, filled from the database; below scale 1 from sweeps scaled down so."""
    from nftlab import report as library

    spec, engine = library.at_scale(library.load_report(name), scale), to_read(db)
    with busy("reading jobs and curves"):
        return library.build(spec, engine)


def show(built: Report, fmt: str | None = None) -> None:
    """Prints a report: in the format asked for, else drawn on a terminal and Markdown in a pipe."""
    from nftlab import report as library

    if fmt is None and _on_terminal():
        _draw(built)
    elif fmt == "json" and _on_terminal():
        emit_json(library.as_dict(built))  # in ASCII, which stays JSON there
    else:
        emit(library.render(built, fmt or "md"))
    sys.stdout.flush()  # whoever reads it need not wait for the files


def write(built: Report, out: Path | None = None) -> dict[str, Path]:
    """Writes a report's files and says where; that the default folder cannot be written is only said."""
    from nftlab import report as library

    try:
        with busy("writing the report's files"):
            files = library.write(built, out or OUT)
    except DiskError as error:
        if out is not None:
            raise
        say(f"nftlab: {error}")
        return {}
    say("written: " + ", ".join(str(path) for path in files.values()))
    return files


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def _draw(built: Report) -> None:
    from nftlab.report import cost_grid, main_grid, notes, paired_grid
    from nftlab.report.notes import COST

    screen = console()
    screen.print(f"\n{printable(built.spec.title)}", style="bold")
    if built.spec.caption:
        screen.print(printable(built.spec.caption))
    _grid(main_grid(built))
    paired = paired_grid(built)
    if paired is not None:
        screen.print("\nDifference to the baseline, paired by seed:")
        _grid(paired)
    cost = cost_grid(built)
    if cost is not None:
        screen.print(f"\n{COST}")
        _grid(cost)
    screen.print()
    for note in notes(built):
        screen.print(printable(note), style="dim")


def _grid(grid: Grid) -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    drawn.add_column("")
    for head in grid.head:
        drawn.add_column(Text(head), justify="right", overflow="fold")
    grouped = any(row.kind == "group" for row in grid.rows)
    for row in grid.rows:
        if row.kind == "group":
            drawn.add_row(Text(row.label, style="bold"))
            continue
        cells = [Text.assemble((text.text, "bold" if text.bold else ""), text.behind) for text in row.texts]
        drawn.add_row("  " * grouped + row.label, *cells, style="dim" if row.kind == "published" else "")
    console().print(drawn)
