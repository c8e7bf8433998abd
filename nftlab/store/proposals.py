"""What samplers proposed: our table is the truth, the Optuna study beside it a mirror that is told what became of it.

One worker at a time has the turn to propose for a sweep. Proposals and their jobs enter in one transaction that checks the turn and
the budget, so that neither a killed proposer nor a late one can add a trial too many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, and_, exists, func, not_, select

from nftlab.errors import SpecError
from nftlab.store.records import Worker
from nftlab.store.runs import values_of
from nftlab.store.session import session
from nftlab.store.sweeps import add_jobs
from nftlab.store.tables import OPEN, epoch_rows, jobs, proposals, sweeps

if TYPE_CHECKING:
    from nftlab.spec import Sweep, Trial


@dataclass(frozen=True)
class Searched:
    """A sweep that a sampler proposes for: its file, how many trials there are by now, whether the sampler has results to hear of."""

    name: str
    source: str
    state: str
    launched_at: float
    proposed: int
    untold: bool

    @property
    def active(self) -> bool:
        """Whether it goes on now."""
        return self.state == "active"


@dataclass(frozen=True)
class Proposed:
    """A proposal whose jobs have all ended: their states, best epochs and curves (epoch → values), one of each per seed."""

    number: int
    states: tuple[str, ...]
    best_epochs: tuple[int | None, ...]
    curves: tuple[dict[int, dict[str, float]], ...]


def searches(engine: Engine, *, above: int | None = None) -> list[Searched]:
    """Every launched sweep whose trials are proposed (of a priority `above` that), highest priority first, then first launched first."""
    mine = and_(jobs.c.sweep == proposals.c.sweep, jobs.c.trial_key == proposals.c.trial_key)
    ended = and_(proposals.c.sweep == sweeps.c.name, proposals.c.told.is_(None), not_(_in_work(mine)))
    count = select(func.count()).where(proposals.c.sweep == sweeps.c.name).scalar_subquery()
    columns = sweeps.c.name, sweeps.c.source, sweeps.c.state, sweeps.c.launched_at
    query = select(*columns, count.label("proposed"), exists().where(ended).label("untold"))
    query = query.where(sweeps.c.method == "bayes", *([sweeps.c.priority > above] if above is not None else []))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(sweeps.c.priority.desc(), sweeps.c.launched_at, sweeps.c.name)).all()
    return [Searched(row.name, row.source, row.state, row.launched_at, row.proposed, bool(row.untold)) for row in rows]


def to_propose(engine: Engine, *, sweep: str | None = None) -> int:
    """How many jobs the samplers of active searches have still to propose; of one `sweep`, also while it is paused."""
    from nftlab.spec import load_text

    left = 0
    for searched in searches(engine):
        if searched.active if sweep is None else searched.name == sweep and searched.state != "stopped":
            try:
                file = load_text(searched.source, where=f"the stored file of sweep {searched.name}", name=searched.name, stored=True)
            except SpecError:  # of an older nftlab: nothing can be proposed from it any more
                continue
            left += max(file.asked - searched.proposed, 0) * len(file.seeds)
    return left


def take_turn(engine: Engine, sweep: str, turn: str, lease: float) -> str | None:
    """Take (or renew) the turn to propose for a sweep, for `lease` seconds; its file, None while another has it."""
    with session(engine) as talk:
        rows = talk.ask("take_turn", sweep=sweep, turn=turn, lease=lease)
    return str(rows[0].source) if rows else None


def has_turn(engine: Engine, sweep: str, turn: str) -> bool:
    """Whether nobody has taken the turn over."""
    with engine.connect() as connection:
        return bool(connection.execute(select(sweeps.c.proposer).where(sweeps.c.name == sweep)).scalar() == turn)


def end_turn(engine: Engine, sweep: str, turn: str) -> None:
    """Let others propose."""
    with session(engine) as talk:
        talk.tell("end_turn", [{"sweep": sweep, "turn": turn}])


def propose(engine: Engine, sweep: Sweep, turn: str, number: int, trial: Trial, by: Worker) -> int:
    """Add a proposal, by its number in the study, and its jobs; returns the number of jobs.

    0, and nothing is written, when the turn is lost, when the sweep was launched with another file or stopped meanwhile, or when
    there would be more than `run_cap`.
    """
    assert sweep.search is not None
    with session(engine) as talk:
        rows = talk.ask("turn", sweep=sweep.name, turn=turn, source=sweep.source)
        if not rows or rows[0].proposed >= sweep.search.run_cap:
            return 0
        talk.tell("proposal", [{"sweep": sweep.name, "number": number, "trial_key": trial.key}])
        sweep = replace(sweep, trials=(trial,), priority=rows[0].priority)
        new = list(sweep.jobs())
        add_jobs(talk, sweep, new, talk.ask("newest", sweep=sweep.name)[0].id, by, "proposed")
    return len(new)


def proposed(engine: Engine, sweep: str) -> dict[int, str]:
    """The trial keys of all proposals of a sweep by their numbers."""
    query = select(proposals.c.number, proposals.c.trial_key).where(proposals.c.sweep == sweep).order_by(proposals.c.number)
    with engine.connect() as connection:
        return {row.number: row.trial_key for row in connection.execute(query)}


def ended(engine: Engine, sweep: str) -> list[Proposed]:
    """The proposals whose jobs have all ended and that the sampler was not told of, in the study's order."""
    mine = and_(jobs.c.sweep == sweep, jobs.c.trial_key == proposals.c.trial_key)
    query = select(proposals.c.number, jobs.c.id, jobs.c.state, jobs.c.best_epoch).join(jobs, mine)
    query = query.where(proposals.c.sweep == sweep, proposals.c.told.is_(None)).order_by(proposals.c.number, jobs.c.seed)
    by_number: dict[int, list[Any]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            by_number.setdefault(row.number, []).append(row)
        through = {number: rows for number, rows in by_number.items() if not any(row.state in OPEN for row in rows)}
        curves: dict[int, dict[int, dict[str, float]]] = {row.id: {} for rows in through.values() for row in rows}
        for point in connection.execute(select(epoch_rows).where(epoch_rows.c.job_id.in_(curves))):
            curves[point.job_id][point.epoch] = values_of(point._mapping["values"])
    return [
        Proposed(number, tuple(row.state for row in rows), tuple(row.best_epoch for row in rows), tuple(curves[row.id] for row in rows))
        for number, rows in through.items()
    ]


def told(engine: Engine, sweep: str, number: int, what: str) -> None:
    """Note that the sampler was told of a proposal: complete, pruned or failed."""
    with session(engine) as talk:
        talk.tell("told", [{"sweep": sweep, "number": number, "told": what}])


def exhausted(engine: Engine, sweep: str, turn: str) -> None:
    """Stop a sweep whose sampler finds nothing new, unless jobs of it still wait."""
    with session(engine) as talk:
        talk.tell("exhausted", [{"sweep": sweep, "turn": turn}])


def _in_work(mine: Any) -> Any:
    return exists().where(mine, jobs.c.state.in_(OPEN))
