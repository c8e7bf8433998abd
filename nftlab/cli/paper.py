"""`nftlab paper`: a paper's tables and figures, from their sweeps to what is printed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.database import to_read, to_write
from nftlab.cli.forecast import expected, told
from nftlab.cli.options import Db, Json, Yes
from nftlab.cli.output import busy, confirm, emit, emit_json, printable, say, table
from nftlab.errors import UsageError

if TYPE_CHECKING:
    from nftlab.papers import Item, Paper, SweepPlan
    from nftlab.report import Report
    from nftlab.spec import Sweep

_GIVEN_UP = ("failed", "quarantined", "cancelled")
_COUNTS = ("jobs", "done", "queued", "running", "given up")


def paper(
    name: Annotated[str, typer.Argument(metavar="PAPER", help="A paper, such as nft.")],
    item: Annotated[str | None, typer.Argument(metavar="ITEM", help="A table or figure of it, such as table1.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List its tables and figures: jobs, how many are done, cost.")] = False,
    scale: Annotated[
        float, typer.Option("--scale", metavar="S", help="A scaled-down copy: about S of the epochs, on a part of the data.")
    ] = 1.0,
    launch: Annotated[bool, typer.Option("--launch", help="Put its runs into the job table, each once.")] = False,
    yes: Yes = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the report's files here instead of reports/out.")] = None,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Make a paper's table or figure: say what it takes, launch it, print it.

    Without --launch nothing is changed. The report is printed once one of its runs is done.
    """
    from nftlab.papers import load_paper

    found = load_paper(name)  # first: whoever names no paper is told which there are
    if listed == (item is not None):
        raise UsageError("name a table or figure, or see them with --list")
    if listed and launch:
        raise UsageError("--launch takes one table or figure")
    if item is None:
        return _list(found, scale, as_json, db)
    _one(found, found.item(item), scale, launch=launch, yes=yes, out=out, as_json=as_json, db=db)


def _list(found: Paper, scale: float, as_json: bool, db: str | None) -> None:
    from nftlab.papers import planned

    engine = to_read(db)
    with busy("reading sweeps"):
        plans = {item: planned(item, engine, scale) for item in found.items}
    if as_json:
        return emit_json({"paper": found.name, "title": found.title, "items": [_told(item, plan, db) for item, plan in plans.items()]})
    rows = [[item.name, *_counts(plan), item.about, _cost(plan, db)] for item, plan in plans.items()]
    table(["item", *_COUNTS, "about", "cost"], rows, right=_COUNTS)


def _one(found: Paper, item: Item, scale: float, *, launch: bool, yes: bool, out: Path | None, as_json: bool, db: str | None) -> None:
    from nftlab import report as library
    from nftlab.cli.report import show, write
    from nftlab.papers import item_sweeps, planned

    added = _launch([*item_sweeps(item, scale).values()], yes, db) if launch else None
    engine = to_read(db)
    with busy("reading sweeps and jobs"):
        plans = planned(item, engine, scale)
        built = library.build(library.at_scale(library.load_report(item.report), scale), engine)
    ready = any(job.state == "done" for job in built.jobs)
    if as_json:
        about = {"paper": found.name, "scale": scale, "launched": added}
        emit_json({**about, **_told(item, plans, db), "rendered": library.as_dict(built) if ready else None})
    else:
        _plan(item, built.spec.title, plans, db)
        if ready:
            show(built)
    if ready:
        write(built, out)
    elif out is not None:
        say(f"nothing was written to {out}: no run for this report is done")
    _next(found, item, plans, scale, built)


def _plan(item: Item, title: str, plans: list[SweepPlan], db: str | None) -> None:
    emit(printable(f"{item.name}: {title}"))
    table(["sweep", *_COUNTS, "file"], [[plan.sweep.name, *_counts([plan]), plan.file] for plan in plans], right=_COUNTS)
    emit(printable(f"cost: {_cost(plans, db)}\n"))


def _next(found: Paper, item: Item, plans: list[SweepPlan], scale: float, built: Report) -> None:
    """What to do now, on stderr."""
    small = f" --scale {scale:g}" if scale < 1 else ""
    for plan in plans:
        if lost := sum(plan.states.get(state, 0) for state in _GIVEN_UP):
            say(f"{lost} jobs of {plan.sweep.name} were given up: nftlab job list --sweep {plan.sweep.name}, then job show and job retry")
    if any(plan.to_launch for plan in plans):
        say(f"next: nftlab paper {found.name} {item.name}{small} --launch")
    elif any(plan.waits for plan in plans):
        say(f"next: nftlab worker --drain, then again nftlab paper {found.name} {item.name}{small}")
    elif built.spec.needs_networks:
        say(f"the picture: nftlab picture {item.report}{small}")


def _launch(sweeps: list[Sweep], yes: bool, db: str | None) -> dict[str, int]:
    from nftlab import store
    from nftlab.code import identity

    if not confirm("launch", sum(sweep.asked * len(sweep.seeds) for sweep in sweeps), yes):
        raise typer.Exit(1)
    engine, shown = to_write(db)
    code = identity()
    with busy("launching"):
        results = [store.launch(engine, sweep, code=code) for sweep in sweeps]
    for result in results:
        say(f"{result.sweep}: {result.jobs_added} jobs added, {result.jobs_known} known")
    say(f"database: {shown}")
    return {key: sum(getattr(result, key) for result in results) for key in ("jobs_added", "jobs_known")}


def _counts(plans: list[SweepPlan]) -> list[int]:
    """What stands under _COUNTS."""
    states = _states(plans)
    own = [sum(plan.jobs for plan in plans), sum(plan.done for plan in plans), states["queued"], states["running"]]
    return [*own, sum(states[state] for state in _GIVEN_UP)]


def _states(plans: list[SweepPlan]) -> dict[str, int]:
    return {state: sum(plan.states.get(state, 0) for plan in plans) for state in ("queued", "running", *_GIVEN_UP)}


def _cost(plans: list[SweepPlan], db: str | None) -> str:
    """By the speeds that are known; where none is, what the sweep files tell."""
    forecast = expected([plan.sweep for plan in plans], db)
    return told(forecast) if forecast.devices else _by_files(plans)


def _by_files(plans: list[SweepPlan]) -> str:
    """Of several sweeps whose cost each is, and how many jobs are in none of these: a part must not pass for the whole."""
    from nftlab.papers import NOT_MEASURED

    measured = [plan for plan in plans if plan.measured]
    if not measured:
        return NOT_MEASURED
    if len(plans) == 1:
        return measured[0].cost
    parts = [f"{plan.sweep.name} ({plan.jobs} jobs): {plan.cost}" for plan in measured]
    jobs = sum(plan.jobs for plan in plans)
    unknown = jobs - sum(plan.jobs for plan in measured)
    return "; ".join([*parts, *([f"{unknown} of {jobs} jobs {NOT_MEASURED}"] if unknown else [])])


def _told(item: Item, plans: list[SweepPlan], db: str | None) -> dict[str, Any]:
    sweeps = [
        {"sweep": plan.sweep.name, "file": plan.file, "jobs": plan.jobs, "states": dict(plan.states), "cost": plan.cost} for plan in plans
    ]
    forecast = asdict(expected([plan.sweep for plan in plans], db))
    counts = {"jobs": sum(plan.jobs for plan in plans), "done": sum(plan.done for plan in plans), **_states(plans)}
    return {"item": item.name, "about": item.about, "report": item.report, **counts, "sweeps": sweeps, "forecast": forecast}
