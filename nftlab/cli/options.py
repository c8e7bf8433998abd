"""The options that several commands share, declared once so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nftlab.errors import UsageError
from nftlab.hypers import ALGORITHMS, nearest

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
Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A launched sweep, or the file that it was launched from.")]
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


def select(engine: Engine | None, sweep: str | None, state: str | None, where: list[str] | None, seed: int | None) -> list[JobRow]:
    """The jobs that the selectors choose; none without a job table.

    Raises UsageError for a selector that can choose nothing, NotFoundError for a sweep that was never launched.
    """
    from nftlab import store

    check_state(state)
    wanted = parse_where(where)
    if engine is None:
        return []
    if sweep is not None:
        store.check_launched(engine, sweep)
    return store.jobs(engine, sweep=sweep, state=state, where=wanted, seed=seed)


def check_state(state: str | None) -> None:
    """Raises UsageError for a state that no job can be in."""
    from nftlab.store import STATES

    if state is not None and state not in STATES:
        raise UsageError(f"--state {state!r} is not one of {', '.join(STATES)}{nearest(state, STATES)}")


def parse_where(pairs: list[str] | None) -> dict[str, str]:
    """`["lr=1e-4", "network=fc-a"]` as a mapping of texts; raises UsageError on a parameter that no algorithm has."""
    import dataclasses

    known = {field.name for cls in ALGORITHMS.values() for field in dataclasses.fields(cls)}
    where: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--where {pair!r} is not NAME=VALUE")
        if name not in known:
            raise UsageError(f"--where {name!r} is no parameter{nearest(name, known)}")
        where[name] = text
    return where
