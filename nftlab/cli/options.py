"""The options that several commands share, declared once so that they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.configuration import value_of
from nftlab.errors import NotFoundError, UsageError, nearest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from nftlab.spec import Sweep as SweepFile
    from nftlab.store import JobRow

Db = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", envvar="NFTLAB_DB", show_envvar=True, help="Job table; default sqlite in ./db/nftlab.sqlite."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Sweep = Annotated[str | None, typer.Option("--sweep", metavar="NAME", help="Only jobs of this sweep.")]
State = Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only jobs in this state, such as failed.")]
Where = Annotated[list[str] | None, typer.Option("--where", metavar="K=V", help="Only jobs with this parameter value; repeatable.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Only jobs with this seed.")]
Trial = Annotated[str | None, typer.Option("--trial", metavar="KEY", help="Only jobs of this trial; how its key begins is enough.")]
Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A launched sweep, or the file that it was launched from.")]
SHOWN = 5  # keys that are named where several begin alike
LARGEST = 2**31 - 1  # that Postgres keeps
Priority = Annotated[
    int | None,
    typer.Option("--priority", min=-LARGEST, max=LARGEST, metavar="N", help="Before all jobs of a lower priority; 0 unless said."),
]


def sweep_name(given: str) -> str:
    """The name of the sweep that a file holds, or what was given."""
    file = sweep_file(given)
    return file.name if file else given


def sweep_file(given: str) -> SweepFile | None:
    """The sweep of a file; None for a name."""
    if not given.endswith((".yaml", ".yml")):
        return None
    from nftlab.resources import find_sweep
    from nftlab.spec import load

    return load(Path(find_sweep(given)))


def select(
    engine: Engine | None,
    sweep: str | Collection[str] | None,
    state: str | None,
    where: list[str] | None,
    seed: int | None,
    trial: str | None,
) -> list[JobRow]:
    """The jobs that the selectors choose, of one sweep or of several; none without a job table.

    Raises UsageError for a selector that can choose nothing and for the beginning of several trials' keys, NotFoundError for a sweep
    that was never launched and for a trial that is not there.
    """
    from nftlab import store

    check_state(state)
    wanted, wrong = parse_where(where)
    sweeps = [sweep] if isinstance(sweep, str) else sweep
    if engine is not None:
        for name in sweeps or ():
            store.check_launched(engine, name)
        trial = None if trial is None else _trial(engine, trial, sweeps)
    found = [] if engine is None else store.jobs(engine, sweep=sweeps, state=state, where=wanted, seed=seed, trial=trial)
    if wrong and not found:  # jobs of an older nftlab may have what this one does not know
        raise UsageError("\n".join(wrong))
    return found


def several(what: str, keys: list[str], beginning: str) -> UsageError:
    """The error about a beginning that the keys of several jobs or trials share."""
    shown = ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")
    return UsageError(f"{len(keys)} {what} begin with {beginning!r}: {shown}")


def _trial(engine: Engine, beginning: str, sweeps: Collection[str] | None) -> str:
    """The key of the one trial whose key begins like this."""
    from nftlab import store

    keys = store.trial_keys(engine, beginning, sweeps=sweeps)
    if not keys:
        where = f" in sweep {' or '.join(sweeps)}" if sweeps else ""
        raise NotFoundError(f"no trial {beginning!r}{where}", "nftlab sweep show names the best of a sweep, nftlab job show that of a job")
    if len(keys) > 1:
        raise several("trials", keys, beginning)
    return keys[0]


def check_state(state: str | None) -> None:
    """Raises UsageError for a state that no job can be in."""
    from nftlab.store import STATES

    if state is not None and state not in STATES:
        raise UsageError(f"--state {state!r} is not one of {', '.join(STATES)}{nearest(state, STATES)}")


def parse_where(pairs: list[str] | None) -> tuple[dict[str, Any], list[str]]:
    """`["lr=1e-4", "network=fc-a"]` as values by parameter, and what is wrong with those (left as texts) that no job of today can have.

    Raises UsageError for what is no pair.
    """
    where: dict[str, Any] = {}
    wrong: list[str] = []
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--where {pair!r} is not NAME=VALUE")
        try:
            where[name] = value_of(name, text)
        except ValueError as error:
            where[name] = text
            wrong.append(f"--where {name}: {error}")
    return where, wrong
