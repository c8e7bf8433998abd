"""`nftlab sweep export`: jobs or curves as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nftlab.aside import aside
from nftlab.cli.database import to_read
from nftlab.cli.options import Db, Seed, State, Trial, Where, select, sweep_name
from nftlab.cli.output import emit, say, written
from nftlab.errors import DiskError, UsageError
from nftlab.harmless import no_formula

FORMATS = ("csv", "jsonl")
Names = Annotated[list[str], typer.Argument(metavar="NAME|FILE", help="Launched sweeps, or the files that they were launched from.")]


def export(
    names: Names,
    curves: Annotated[bool, typer.Option("--curves", help="A row per epoch instead of one per job.")] = False,
    fmt: Annotated[
        str | None, typer.Option("--format", metavar="F", help="csv or jsonl; default: by the ending of --out, else csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")] = None,
    state: State = None,
    where: Where = None,
    seed: Seed = None,
    trial: Trial = None,
    db: Db = None,
) -> None:
    """Print the jobs of sweeps, or their curves, for other programs to read."""
    from nftlab import store

    fmt = fmt or (out.suffix.lstrip(".") if out is not None and out.suffix.lstrip(".") in FORMATS else "csv")
    if fmt not in FORMATS:
        raise UsageError(f"--format {fmt!r} is not one of {', '.join(FORMATS)}")
    sweeps, engine = [sweep_name(name) for name in names], to_read(db)
    chosen = select(engine, sweeps, state, where, seed, trial)
    rows = store.curve_rows(engine, chosen) if curves and engine is not None else store.job_rows(chosen)
    text = _csv(rows) if fmt == "csv" else "".join(json.dumps(row) + "\n" for row in rows)
    if out is None:
        if text:
            emit(text)
        return
    _write(out, text)
    say(f"{len(rows)} rows in {out}")


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """Every key that a row has is a column; what a row lacks, or has no number for, is empty. No text is a formula."""
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns], restval="", lineterminator="\n")
    if columns:
        writer.writerow({name: no_formula(name) for name in columns})
    writer.writerows(
        {name: written(value) if isinstance(value, bool) else no_formula(value) for name, value in row.items()} for row in rows
    )
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    """The file is there whole or not at all. Raises DiskError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise DiskError(f"{path} cannot be written: {error.strerror or error}", "name another file with --out") from error
