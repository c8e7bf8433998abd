"""`nftlab sweep wait`: until sweeps have ended, for scripts, and for people who would rather sleep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.database import same_table, to_read
from nftlab.cli.options import Db, Json, sweep_name
from nftlab.cli.output import bars, busy, emit, emit_json, printable, say
from nftlab.cli.standing import verdict
from nftlab.errors import NotFoundError, OutageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOOK = 5.0  # seconds between looks at the job table
IDLE = 30.0  # seconds without a job in training that are worth a word
LATE = 75  # the exit code when the time was up first
Names = Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Launched sweeps, or the files that they were launched from.")]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="T", help="Wait no longer than this (20h, 90m, 3600s), then exit 75.")]


def wait(names: Names, timeout: Timeout = None, as_json: Json = False, db: Db = None) -> None:
    """Wait until nothing of some sweeps is left to train; exit 0 if every run that they ask for is recorded, 1 if not.

    A job table that does not answer is waited for, too.
    """
    from nftlab import store

    end = time.monotonic() + _seconds(timeout)
    sweeps, engine = list(dict.fromkeys(map(sweep_name, names))), to_read(db)
    if engine is None:
        raise NotFoundError(f"sweep {sweeps[0]!r} was never launched", "nftlab sweep launch FILE")
    watch = Watch(engine, sweeps, same_table(db))
    with bars() as progress:
        while (left := watch.look(progress)) and time.monotonic() < end:
            time.sleep(max(0.0, min(LOOK, end - time.monotonic())))
    try:
        with busy("verifying"):
            found = {name: store.verify(engine, name) for name in sweeps}
    except OutageError as error:
        if not left:
            raise
        say(f"the time is up, and the job table does not answer: {error.args[0]}")
        raise typer.Exit(LATE) from None
    complete = {name: store.complete(of_it) for name, of_it in found.items()}
    if as_json:
        emit_json([{"sweep": name, "ended": name not in left, "complete": complete[name], **of_it} for name, of_it in found.items()])
    else:
        emit(printable("\n".join(f"{name}: {verdict(of_it, complete[name])}" for name, of_it in found.items())))
    if left:
        say(f"the time is up; to wait on: nftlab sweep wait {' '.join(left)}{same_table(db)}")
        raise typer.Exit(LATE)
    raise typer.Exit(0 if all(complete.values()) else 1)


class Watch:
    """Looks at sweeps, and says once what keeps them from ending. `table`: the option that names theirs."""

    def __init__(self, engine: Engine, sweeps: Sequence[str], table: str) -> None:
        self._engine, self._sweeps, self._table = engine, sweeps, table
        self._trained = dict.fromkeys(sweeps, time.monotonic())  # when a job was last seen in training
        self._said: dict[str, str] = {}  # by sweep, what was said of it last; by "", of the job table

    def look(self, progress: Callable[[str, int, int], None]) -> list[str]:
        """The sweeps of which something is left to train, all of them while the job table does not answer.

        Raises NotFoundError for one that is not there, or no more.
        """
        from nftlab import store

        try:
            # in this order: trials that are proposed in between are seen as jobs
            to_come = {name: store.to_propose(self._engine, sweep=name) for name in self._sweeps}
            table = {sweep["name"]: sweep for sweep in store.launched(self._engine)}
            left = []
            for name in self._sweeps:
                if name not in table:
                    store.check_launched(self._engine, name)
                jobs = table[name]["jobs"]
                waiting, total = sum(jobs[state] for state in store.OPEN) + to_come[name], sum(jobs.values()) + to_come[name]
                progress(name, total - waiting, total)
                self._say(name, self._hindrance(table[name]) if waiting else "")
                left += [name] if waiting else []
        except OutageError as error:
            self._engine.dispose()
            self._say("", f"waiting for the job table: {error.args[0]}")
            return list(self._sweeps)
        self._say("", "")
        return left

    def _hindrance(self, sweep: Mapping[str, Any]) -> str:
        """Why nothing of a sweep trains; empty while it does, or might in a moment."""
        name, now = sweep["name"], time.monotonic()
        if sweep["jobs"]["running"]:
            self._trained[name] = now
        elif sweep["state"] == "paused":
            return f"{name} is paused; nftlab sweep resume {name}{self._table}"
        elif now - self._trained[name] >= IDLE:
            return f"nothing of {name} trains; nftlab worker --drain{self._table}"
        return ""

    def _say(self, about: str, what: str) -> None:
        if what and what != self._said.get(about):
            say(what)
        self._said[about] = what


def _seconds(timeout: str | None) -> float:
    from nftlab.worker.budget import seconds

    return math.inf if timeout is None else seconds(timeout)
