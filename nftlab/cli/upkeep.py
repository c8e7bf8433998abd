"""`nftlab db check|backup|copy|prune`: is the job table whole, a copy of it, here or elsewhere, and room for what comes."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nftlab.cli.database import same_table, shown, to_read, to_write
from nftlab.cli.options import Db, Json
from nftlab.cli.output import bars, busy, emit, emit_json, printable, say
from nftlab.errors import NotFoundError


def check(as_json: Json = False, db: Db = None) -> None:
    """Check the schema, the file and every guarantee of the job table.

    Exit 1 if something is wrong with what is in it, 78 if it has another schema, 69 if it cannot be reached or read.
    """
    from nftlab import store

    url, engine = shown(db), to_read(db)
    with busy("checking"):
        found = store.check(engine) if engine is not None else []
    if as_json:
        emit_json({"database": url, "schema": store.SCHEMA if engine is not None else None, "findings": [asdict(one) for one in found]})
    else:
        for one in found:
            emit(printable(f"{one.count} {one.what}: {', '.join(one.first)}{', …' if one.count > len(one.first) else ''}"))
        if engine is not None and not found:
            emit(f"{url}: ready, schema {store.SCHEMA}")
    if found:
        raise typer.Exit(1)


def backup(
    out: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="The copy; default: beside the table, dated.")] = None,
    db: Db = None,
) -> None:
    """Copy the job table while workers go on; print the copy's path.

    Postgres has a program for that: its command is printed, and the exit code is 1, for nothing was copied.
    """
    from datetime import UTC, datetime

    from nftlab import store

    engine = to_read(db)
    if engine is None:
        raise NotFoundError("there is no job table to back up")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    if engine.dialect.name != "sqlite":
        say("Postgres backs itself up:")
        emit(store.dump_command(engine, out or Path(f"nftlab-{stamp}.dump")))
        raise typer.Exit(1)
    file = Path(str(engine.url.database))
    copy = out or file.with_name(f"{file.stem}-{stamp}{file.suffix}")
    with bars() as progress:
        size = store.backup(engine, copy, partial(progress, "copying"))
    emit(str(copy))
    say(f"{_megabytes(size)}; to use it: nftlab status --db {copy}")


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The job table that is copied; it stays as it is.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty database, or a new SQLite file.")],
    as_json: Json = False,
) -> None:
    """Copy a job table into another database: from a SQLite file to Postgres, or back.

    All of it or, if anything comes between, nothing. Workers must have left; an empty job table is made in TO if need be.
    """
    from nftlab import store
    from nftlab.search.study import open_storage

    engine = to_read(source)
    if engine is None:
        raise NotFoundError(f"there is no job table at {shown(source)}")
    into, there = to_write(target)
    with bars() as progress:
        rows = store.copy(engine, into, make_studies=open_storage, progress=progress)
    if as_json:
        return emit_json({"from": shown(source), "to": there, "rows": rows})
    emit(f"{there}: {rows['sweeps']} sweeps, {rows['jobs']} jobs, {rows['epoch_rows']} epochs copied")
    counts = store.Queue(into).counts()
    if left := sum(counts.values()) - sum(counts[state] for state in store.ACCEPTED):
        say(f"{left} jobs are not finished: with a copy of the runs folder (--runs) they go on from their checkpoints")
    say(f"to use it: nftlab status{same_table(target)}")


def prune(
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="NFTLAB_RUNS", help="The workers' checkpoints.")] = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without it they are only counted.")] = False,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Remove checkpoints that no job needs: of finished jobs all but the best weights, of others all but the last two.

    Jobs in training are left to their workers; folders of jobs that this job table does not know are only named.
    """
    from nftlab import store
    from nftlab.worker.prune import prunable, remove, see

    seen = see(runs)  # before the table is read
    engine = to_read(db)
    if engine is None:
        raise NotFoundError("without a job table nobody knows which checkpoints are needed")
    found = prunable(runs, store.shelved(engine), seen)
    freed = remove(found.files) if yes else 0
    if as_json:
        told = {"files": len(found.files), "bytes": found.size, "bytes_freed": freed}
        return emit_json({"runs": runs, **told, "unknown": [str(folder) for folder in found.unknown]})
    emit(f"{len(found.files)} checkpoints of {_megabytes(found.size)} {'removed' if yes else 'may go'}")
    for folder in found.unknown:
        say(printable(f"{folder}: no job of this table, left as it is"))
    if found.files and not yes:
        say("nftlab db prune --yes removes them")
    elif freed < found.size:
        say(f"only {_megabytes(freed)} could be removed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
