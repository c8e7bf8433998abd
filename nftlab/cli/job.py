"""`nftlab job`: look at jobs, and change what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.database import same_table, to_read
from nftlab.cli.options import Db, Json, Seed, State, Sweep, Trial, Where, Yes, select, several
from nftlab.cli.output import cells, confirm, emit, emit_json, number, printable, say, table
from nftlab.configuration import differing
from nftlab.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from nftlab.store import JobRow

CHANGED_BY = {  # the states that a verb changes
    "retry": ("failed", "quarantined", "cancelled"),
    "rerun": ("done", "pruned", "failed", "quarantined", "cancelled"),
    "cancel": ("queued", "running"),
}
TOLD = {"retry": "queued again", "rerun": "queued again from scratch, their results are forgotten", "cancel": "cancelled"}
ALWAYS = ("algorithm", "network", "dataset")  # parameters that every list of jobs shows
MOST = 6  # further ones that it shows, of those that tell its jobs apart

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY...]", help="Job keys, or how they begin.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, retry and cancel jobs.")


@app.command("list")
def list_(
    sweep: Sweep = None,
    state: State = None,
    where: Where = None,
    seed: Seed = None,
    trial: Trial = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """List jobs."""
    rows = select(to_read(db), sweep, state, where, seed, trial)
    if as_json:
        return emit_json([as_dict(row) for row in rows])
    names = [name for name in differing({row.trial_key: row.config for row in rows}.values()) if name not in (*ALWAYS, "epochs")]
    columns, lines = _lines(rows, names[:MOST])
    table(columns, lines, right=("seed", "epoch", "val %", "test %"))
    if more := names[MOST:]:
        say(f"they differ in {len(more)} more: {', '.join(more)}; --json has all")


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Job key, or how it begins.")],
    diff: Annotated[bool, typer.Option("--diff", help="Print the uncommitted changes that its last attempt ran with.")] = False,
    packages: Annotated[bool, typer.Option("--packages", help="Print the packages that were installed for its last attempt.")] = False,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Tell a job's story: configuration, attempts, transitions, curve."""
    from nftlab import store
    from nftlab.cli.story import told

    engine = to_read(db)
    row = _one(engine, key, db)
    assert engine is not None  # there is a job
    if diff or packages:
        return _snapshots(engine, row, [kind for kind, wanted in (("diff", diff), ("packages", packages)) if wanted], as_json)
    story, curve = store.story(engine, row.job_key), store.curve(engine, row.job_id)
    if as_json:
        return emit_json({**as_dict(row), **story, "curve": curve})
    emit(told(row, story, curve))


@app.command()
def retry(
    keys: Keys = None,
    sweep: Sweep = None,
    state: State = None,
    where: Where = None,
    seed: Seed = None,
    trial: Trial = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Done and pruned jobs too: forget results, curves and checkpoints, start from scratch.")
    ] = False,
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Queue failed, quarantined or cancelled jobs again."""
    _change("rerun" if rerun else "retry", keys, (sweep, state, where, seed, trial), yes, db)


@app.command()
def cancel(
    keys: Keys = None,
    sweep: Sweep = None,
    state: State = None,
    where: Where = None,
    seed: Seed = None,
    trial: Trial = None,
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Take queued jobs out of the queue and stop running ones."""
    _change("cancel", keys, (sweep, state, where, seed, trial), yes, db)


def _snapshots(engine: Engine, row: JobRow, kinds: list[str], as_json: bool) -> None:
    """Prints texts that the job's last attempt names."""
    from nftlab import store

    named = {kind: row.circumstances.get(kind) for kind in kinds}
    texts = {kind: sha and store.snapshot(engine, sha) for kind, sha in named.items()}
    if as_json:
        return emit_json({"job": row.job_key, **texts})
    for kind, text in texts.items():
        if text:
            emit(printable(text) if sys.stdout.isatty() else text)  # in a pipe as it is: `git apply` reads it
        else:
            committed = kind in row.circumstances and row.git_sha is not None
            known = "ran committed code" if committed else f"has no {kind} recorded"
            say(f"the last attempt of job {row.job_key} {known}")


def as_dict(row: JobRow) -> dict[str, Any]:
    """A job as scripts read it; keys are stable, more may be added."""
    return {
        "job": row.job_key,
        "sweep": row.sweep,
        "trial": row.trial_key,
        "state": row.state,
        "config": {**row.config, "seed": row.seed},
        "attempts": row.attempts,
        "retries": row.retries,
        "epoch": row.epoch,
        "best_epoch": row.best_epoch,
        "val_error": row.val_error,
        "test_error": row.test_error,
        "diverged": row.diverged,
        "seconds": row.seconds,
        "error": row.error,
    }


def _change(verb: str, keys: list[str] | None, selectors: tuple[Any, ...], yes: bool, db: str | None) -> None:
    """Applies a verb of the queue to the jobs that are named or selected."""
    if bool(keys) == any(value not in (None, []) for value in selectors):
        raise UsageError(f"{verb} which jobs? name their keys, or choose them with --sweep, --state, --where, --seed, --trial; not both")
    from nftlab.store import Queue

    engine = to_read(db)
    rows = [_one(engine, key, db) for key in keys or []] or select(engine, *selectors)
    if verb == "rerun":
        _refuse_running(rows, db)
    ids = {row.job_id for row in rows if row.state in CHANGED_BY[verb]}
    if engine is None or not ids:
        return say(f"nothing to {verb}: {len(rows)} jobs found, none of them {' or '.join(CHANGED_BY[verb])}{_remedy(verb, rows)}")
    if not confirm("forget and run again" if verb == "rerun" else verb, len(ids), yes):
        raise typer.Exit(1)
    changed = getattr(Queue(engine), verb)(ids)
    say(f"{changed} jobs {TOLD[verb]}")


def _refuse_running(rows: list[JobRow], db: str | None) -> None:
    """Raises UsageError when one of the jobs is in training: what it will come to is not there yet to be forgotten."""
    if running := [row.job_key for row in rows if row.state == "running"]:
        first = f"nftlab job cancel {running[0]}{' …' if len(running) > 1 else ''}{same_table(db)}"
        raise UsageError(f"{len(running)} of {len(rows)} jobs are running", f"{first} first, or choose others, as with --state done")


def _remedy(verb: str, rows: list[JobRow]) -> str:
    """How a retry that nothing applies to would run again what has a result."""
    from nftlab.store import ACCEPTED

    finished = verb == "retry" and any(row.state in ACCEPTED for row in rows)
    return "; --rerun runs done and pruned ones again, from scratch" if finished else ""


def _one(engine: Engine | None, key: str, db: str | None) -> JobRow:
    """The job whose key begins like this; raises NotFoundError when there is none, UsageError when there are several."""
    from nftlab import store

    rows = store.jobs(engine, key=key) if engine is not None and key else []
    if not rows:
        trials = store.trial_keys(engine, key) if engine is not None else []
        if len(trials) == 1:
            raise NotFoundError(f"{key} is a trial", f"its jobs: nftlab job list --trial {key}{same_table(db)}")
        raise NotFoundError(f"no job {key!r}", "see nftlab job list")
    if len(rows) > 1:
        raise several("jobs", [row.job_key for row in rows], key)
    return rows[0]


def _lines(rows: list[JobRow], names: list[str]) -> tuple[list[str], list[list[Any]]]:
    """Column names and rows, parameters of these names among them; sweep and error have a column only where they tell something."""
    columns: dict[str, Callable[[JobRow], Any]] = {
        "job": lambda row: row.job_key,
        "sweep": lambda row: row.sweep,
        "state": lambda row: "diverged" if row.diverged else row.state,
        **{name: lambda row, name=name: cells(row.config, [name])[0] for name in (*ALWAYS, *names)},  # type: ignore[misc]
        "seed": lambda row: row.seed,
        "epoch": lambda row: f"{row.epoch}/{row.config.get('epochs')}",
        "val %": lambda row: number(row.val_error),
        "test %": lambda row: number(row.test_error),
        "error": lambda row: row.error,
    }
    if len({row.sweep for row in rows}) == 1:
        del columns["sweep"]
    if not any(row.error for row in rows):
        del columns["error"]
    return list(columns), [[read(row) for read in columns.values()] for row in rows]
