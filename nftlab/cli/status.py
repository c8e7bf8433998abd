"""`nftlab status`: how far the job table is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nftlab.cli.database import to_read
from nftlab.cli.forecast import told
from nftlab.cli.options import Db, Json, Sweep
from nftlab.cli.output import duration, emit, emit_json, printable


def status(sweep: Sweep = None, as_json: Json = False, db: Db = None) -> None:
    """Show jobs by state, pace, time left, cost left, failures."""
    from nftlab import store

    engine = to_read(db)
    if engine is not None and sweep is not None:
        store.check_launched(engine, sweep)
    forecast = store.Forecast() if engine is None else store.cost_left(engine, sweep=sweep)
    if engine is None:
        found: dict[str, Any] = {"jobs": dict.fromkeys(store.STATES, 0), "jobs_per_hour": 0.0, "eta_seconds": None, "failures": []}
    else:
        found = store.status(engine, sweep=sweep)
    to_propose = 0 if engine is None else store.to_propose(engine, sweep=sweep)
    if as_json:
        return emit_json(found | {"to_propose": to_propose, "forecast": asdict(forecast)})
    emit("\n".join(f"{state:<12}{count}" for state, count in found["jobs"].items()))
    if to_propose:
        emit(f"{to_propose} jobs are still to be proposed by searches; what follows is without them")
    if found["jobs_per_hour"] and found["eta_seconds"] != 0:
        emit(f"{found['jobs_per_hour']:.1f} jobs per hour, {duration(found['eta_seconds'])} left")
    if cost := told(forecast):
        emit(printable(f"left: {cost}"))
    for failure in found["failures"]:
        emit(printable(f"failed: {failure['job']} ({failure['sweep']}): {failure['error'] or 'no message'}"))
