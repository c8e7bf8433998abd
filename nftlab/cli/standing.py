"""`nftlab sweep list|show`: how launched sweeps stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nftlab.cli import pruning
from nftlab.cli.database import to_read
from nftlab.cli.forecast import told
from nftlab.cli.options import Db, Json, Name, sweep_name
from nftlab.cli.output import cells, duration, emit, emit_json, number, printable, table
from nftlab.configuration import differing
from nftlab.errors import NotFoundError, SpecError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from nftlab.spec import Sweep
    from nftlab.store import Forecast, Ranked

BEST = 5  # trials that `show` ends with


def list_(as_json: Json = False, db: Db = None) -> None:
    """List launched sweeps, latest first."""
    from nftlab import store
    from nftlab.cli.story import moment

    engine = to_read(db)
    sweeps = _all(engine) if engine is not None else []
    for sweep in sweeps:
        sweep["eta_seconds"] = store.status(engine, sweep=sweep["sweep"])["eta_seconds"] if engine is not None else None
    if as_json:
        return emit_json(sweeps)
    numbers = ("jobs", *store.STATES)
    times = [[duration(s["seconds"]), duration(s["eta_seconds"]), moment(s["launched_at"])] for s in sweeps]
    rows = [
        [s["sweep"], sum(s["jobs"].values()), *s["jobs"].values(), s["state"], _percent(s), *of_it]
        for s, of_it in zip(sweeps, times, strict=True)
    ]
    table(["sweep", *numbers, "sweep is", "recorded", "trained", "left", "launched (UTC)"], rows, right=(*numbers, "recorded"))


def show(name: Name, as_json: Json = False, db: Db = None) -> None:
    """Show how a sweep stands: its code, jobs, progress, cost so far and left, failures, best trials."""
    from nftlab import store

    sweep, engine = sweep_name(name), to_read(db)
    if engine is None:
        raise NotFoundError(f"sweep {sweep!r} was never launched", "see nftlab sweep list")
    store.check_launched(engine, sweep)
    found = next(one for one in _all(engine) if one["sweep"] == sweep)
    trials = store.ranked(engine, sweep)
    status, forecast = store.status(engine, sweep=sweep), store.cost_left(engine, sweep=sweep)
    found |= {key: status[key] for key in ("jobs_per_hour", "eta_seconds", "failures")}
    file = _pruned(found)
    best = [trial for trial in trials[:BEST] if trial.mean is not None]
    if as_json:
        told_of = {"pruner": pruning.judged(file) if file else None, "forecast": asdict(forecast)}
        return emit_json(found | told_of | {"best": [_as_dict(rank, trial) for rank, trial in enumerate(best, 1)]})
    emit(printable("\n".join(_lines(found, forecast, file))))
    if best:
        _ranking(found["metric"], best, differing((trial.config for trial in trials), always=("algorithm",)))


def _pruned(found: Mapping[str, Any]) -> Sweep | None:
    """A sweep as its stored file has it, if that has a pruner and can be read; nearly all have none, and are not expanded for it."""
    from nftlab.spec import load_text

    if "pruner" not in found["source"] and "early_terminate" not in found["source"]:
        return None
    try:
        sweep = load_text(found["source"], name=found["sweep"], stored=True)
    except SpecError:  # of another nftlab: nothing is pruned by what cannot be read
        return None
    return sweep if sweep.pruner else None


def _all(engine: Engine) -> list[dict[str, Any]]:
    """Every sweep as scripts read it; keys are stable, more may be added.

    `progress`: the share of its jobs that are recorded, of those too that a search has still `to_propose`.
    """
    from nftlab import store

    seconds = store.trained(engine)
    found = [{"sweep": sweep.pop("name"), **sweep} for sweep in store.launched(engine)]
    for sweep in found:
        sweep["to_propose"] = store.to_propose(engine, sweep=sweep["sweep"]) if sweep["method"] == "bayes" else 0
        total = sum(sweep["jobs"].values()) + sweep["to_propose"]
        recorded = sweep["jobs"]["done"] + sweep["jobs"]["pruned"]
        sweep |= {"progress": round(recorded / total, 4) if total else 0.0, "seconds": seconds.get(sweep["sweep"], 0.0)}
    return found


def _lines(found: Mapping[str, Any], forecast: Forecast, file: Sweep | None) -> list[str]:
    from nftlab.cli.story import moment
    from nftlab.code import named

    jobs = found["jobs"]
    counted = ", ".join(f"{count} {state}" for state, count in jobs.items() if count) or "none"
    to_come = f"; {found['to_propose']} still to be proposed, what is left is without them" if found["to_propose"] else ""
    waits = f"; nftlab sweep resume {found['sweep']}" if found["state"] == "paused" else ""
    lines = [
        f"sweep {found['sweep']}: {found['state']}, priority {found['priority']}{waits}",
        f"launched {moment(found['launched_at'])} from {found['path']}, code {named(found['code'])}",
        f"method {found['method']}, {found['metric']} ({found['goal']})",
        *([pruning.told(file)] if file else []),
        f"jobs: {sum(jobs.values())}, {counted}{to_come}",
        f"recorded: {_percent(found)}, {duration(found['seconds'])} of training so far",
    ]
    if found["jobs_per_hour"] and found["eta_seconds"] != 0:
        lines.append(f"{found['jobs_per_hour']:.1f} jobs per hour, {duration(found['eta_seconds'])} left")
    if cost := told(forecast):
        lines.append(f"left: {cost}")
    return [*lines, *(f"failed: {failure['job']}: {failure['error'] or 'no message'}" for failure in found["failures"])]


def _as_dict(rank: int, trial: Ranked) -> dict[str, Any]:
    """A ranked trial as scripts read it; keys are stable, more may be added."""
    spread = {"mean": trial.mean, "std": trial.std, "n": trial.n, "asked": trial.asked, "diverged": trial.diverged}
    return {"rank": rank, "trial": trial.trial_key, **spread, "config": trial.config}


def _ranking(metric: str, best: Sequence[Ranked], names: Sequence[str]) -> None:
    """The table of the best trials, with the parameters that tell the sweep's trials apart."""
    digits = 2 if metric.endswith("error") else 4  # an error is in percent
    rows = [
        [
            rank,
            number(trial.mean, digits) + (f" ± {number(trial.std, digits)}" if trial.std is not None else ""),
            _seeds(trial),
            trial.trial_key,
            *cells(trial.config, names),
        ]
        for rank, trial in enumerate(best, 1)
    ]
    emit("best trials, mean ± std over seeds:")
    table(["rank", metric, "seeds", "trial", *names], rows, right=("rank", metric, "seeds"))


def _seeds(trial: Ranked) -> str:
    """`3`, `2 of 3`, `3, 1 diverged`."""
    counted = f"{trial.n}" if trial.n == trial.asked else f"{trial.n} of {trial.asked}"
    return counted + (f", {trial.diverged} diverged" if trial.diverged else "")


def _percent(sweep: Mapping[str, Any]) -> str:
    return f"{100 * sweep['progress']:.0f} %"


def verdict(found: Mapping[str, Any], complete: bool) -> str:
    """What `store.verify` found, in words."""
    if complete:
        return f"complete, {found['expected']} runs recorded exactly once"
    wrong = [f"{found[key]} {key}" for key in found if key not in ("expected", "done", "pruned", "extra") and found[key]]
    return f"{found['done'] + found['pruned']} of {found['expected']} recorded; {', '.join(wrong)}"
