"""`nftlab sweep pause|resume|stop|cancel|delete|priority`: what becomes of a launched sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nftlab.cli.database import same_table, to_read
from nftlab.cli.options import LARGEST, Db, Name, Priority, Yes, sweep_name
from nftlab.cli.output import agreed, busy, confirm, duration, say
from nftlab.errors import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def pause(name: Name, db: Db = None) -> None:
    """Let no more jobs of a sweep be claimed; those in training go on."""
    from nftlab import store

    done = store.pause(_table(name, db), sweep_name(name))
    say(f"{done.sweep} is paused: {done.queued} queued jobs wait, {done.running} running go on; nftlab sweep resume {done.sweep}")


def resume(name: Name, priority: Priority = None, db: Db = None) -> None:
    """Let a paused or stopped sweep go on; jobs that were cancelled stay so."""
    from nftlab import store

    engine = _table(name, db)
    done = store.resume(engine, sweep_name(name))
    if priority is not None:
        store.set_priority(engine, done.sweep, priority)
    say(f"{done.sweep} is active: {done.queued} queued, {done.running} running")
    if cancelled := _jobs(engine, done.sweep)["cancelled"]:
        say(f"{cancelled} cancelled jobs stay so; nftlab job retry --sweep {done.sweep} --state cancelled")


def stop(name: Name, yes: Yes = False, db: Db = None) -> None:
    """Cancel a sweep's queued jobs and propose no more; those in training are finished."""
    from nftlab import store

    engine, sweep = _table(name, db), sweep_name(name)
    if not confirm("cancel", _jobs(engine, sweep)["queued"], yes):
        raise typer.Exit(1)
    with busy("stopping"):
        done = store.stop(engine, sweep)
    say(f"{done.sweep} is stopped: {done.cancelled} jobs cancelled, {done.running} running will finish")


def cancel(name: Name, yes: Yes = False, db: Db = None) -> None:
    """Cancel a sweep's queued and running jobs; their workers drop them at the next beat."""
    from nftlab import store

    engine, sweep = _table(name, db), sweep_name(name)
    counts = _jobs(engine, sweep)
    if not confirm("cancel", counts["queued"] + counts["running"], yes):
        raise typer.Exit(1)
    with busy("cancelling"):
        done = store.cancel(engine, sweep)
    say(f"{done.sweep} is stopped: {done.cancelled} jobs cancelled, those in training by the next beat of their workers")


def delete(name: Name, yes: Yes = False, db: Db = None) -> None:
    """Forget a sweep with its jobs, results and curves; its name is free again. Always asks."""
    from nftlab import store

    engine, sweep = _table(name, db), sweep_name(name)
    goes = store.contents(engine, sweep)
    what = f"{goes.jobs} jobs, {goes.finished} finished results and {duration(goes.seconds)} of training"
    if not agreed(f"delete sweep {sweep} with {what}", yes):
        raise typer.Exit(1)
    with busy("deleting"):
        gone = store.delete(engine, sweep)
    say(f"{sweep} is deleted, {gone.jobs} jobs with it")
    say(f"files of its runs stay; nftlab db prune{same_table(db)} names the checkpoint folders that no job has")


def priority(
    name: Name,
    number: Annotated[
        int,
        typer.Argument(
            min=-LARGEST, max=LARGEST, metavar="N", help="Before all jobs of a lower priority; sweeps have 0 unless their file says."
        ),
    ],
    db: Db = None,
) -> None:
    """Put a sweep's jobs before others: higher goes first."""
    from nftlab import store

    sweep = sweep_name(name)
    store.set_priority(_table(name, db), sweep, number)
    say(f"{sweep} has priority {number}")


def _table(name: str, db: str | None) -> Engine:
    """The job table that must be there, since the sweep was launched into it."""
    engine = to_read(db)
    if engine is None:
        raise NotFoundError(f"sweep {name!r} was never launched", "nftlab sweep launch FILE")
    return engine


def _jobs(engine: Engine, sweep: str) -> dict[str, int]:
    """Jobs by state; all zero for a sweep that is not there: the verb itself says so."""
    from nftlab import store

    return next((found["jobs"] for found in store.launched(engine) if found["name"] == sweep), dict.fromkeys(store.STATES, 0))
