"""What a user does to a launched sweep: hold it, let it go on, end it, put it before others."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from nftlab.errors import NotFoundError, UsageError
from nftlab.store.moves import command
from nftlab.store.records import Worker
from nftlab.store.session import Session, session
from nftlab.store.tables import sweeps

ACTIVE, PAUSED, STOPPED = "active", "paused", "stopped"


@dataclass(frozen=True)
class Steered:
    """A sweep after a verb: its `state`, how many jobs the verb `cancelled`, and how many are still `queued` and `running`."""

    sweep: str
    state: str
    cancelled: int
    queued: int
    running: int


def pause(engine: Engine, name: str) -> Steered:
    """Let no job of the sweep be claimed and nothing be proposed until it is resumed; running jobs go on.

    Jobs that are handed back meanwhile wait too. Raises NotFoundError for a sweep that was never launched, UsageError for a stopped one.
    """
    return _steer(engine, name, PAUSED)


def resume(engine: Engine, name: str) -> Steered:
    """Undo `pause` or `stop`: jobs may be claimed and proposed again. What was cancelled stays so. Raises NotFoundError."""
    return _steer(engine, name, ACTIVE)


def stop(engine: Engine, name: str) -> Steered:
    """Cancel what is queued and propose nothing more; running jobs are finished, by another worker if need be. Raises NotFoundError."""
    return _steer(engine, name, STOPPED, "stop")


def cancel(engine: Engine, name: str) -> Steered:
    """Like `stop`, and running jobs are cancelled too: their workers drop them at the next beat. Raises NotFoundError."""
    return _steer(engine, name, STOPPED, "cancel")


def set_priority(engine: Engine, name: str, priority: int) -> None:
    """Put the sweep's jobs, also those proposed later, before all of a lower priority. Raises NotFoundError."""
    with session(engine) as talk:
        _state(talk, engine, name)
        talk.tell("priority", [{"sweep": name, "priority": priority}])
        talk.tell("priorities", [{"sweep": name, "priority": priority}])


def never_launched(connection: Connection, name: str) -> NotFoundError:
    """The error about a sweep that is not in the job table; it names those that are."""
    launched = ", ".join(connection.execute(select(sweeps.c.name).order_by(sweeps.c.name)).scalars()) or "none"
    return NotFoundError(f"sweep {name!r} was never launched into this database", f"launched are: {launched}")


def _steer(engine: Engine, name: str, state: str, verb: str | None = None) -> Steered:
    with session(engine) as talk:
        before = _state(talk, engine, name)
        if (before, state) == (STOPPED, PAUSED):
            raise UsageError(f"sweep {name!r} is stopped: there is nothing to pause", f"nftlab sweep resume {name} makes it active first")
        talk.tell("steer", [{"sweep": name, "state": state}])
        if PAUSED in (before, state):
            talk.tell("hold", [{"sweep": name, "paused": state == PAUSED}])
        cancelled = command(talk, verb, [job.id for job in talk.ask("unfinished_of", sweep=name)], Worker.me()) if verb else 0
        left = [job.state for job in talk.ask("unfinished_of", sweep=name)]
    return Steered(name, state, cancelled, left.count("queued"), left.count("running"))


def _state(talk: Session, engine: Engine, name: str) -> str:
    """The sweep's state, its row locked: verbs and launches of one sweep take turns at it."""
    rows = talk.ask("sweep_state", sweep=name)
    if not rows:
        with engine.connect() as connection:
            raise never_launched(connection, name)
    return str(rows[0].state)
