"""What work will cost, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nftlab.cli.output import duration, say
from nftlab.errors import DatabaseError, SchemaError
from nftlab.harmless import masked

if TYPE_CHECKING:
    from nftlab.spec import Sweep
    from nftlab.store import Forecast

_UNITS = (("device-hours", 1.0), ("device-minutes", 60.0), ("device-seconds", 3600.0))


def expected(sweeps: list[Sweep], db: str | None) -> Forecast:
    """The cost of sweeps by the job table, if there is one; where it cannot be read that is said and no speed is known."""
    from nftlab import store

    try:
        return store.cost_of(store.open_db(db, create=False), sweeps)
    except (DatabaseError, SchemaError) as error:
        say(masked(f"no speeds from the job table: {error}"))
        return store.cost_of(None, sweeps)


def told(forecast: Forecast) -> str:
    """One line such as `about 3.2 device-hours (2.9 to 4.1) on NVIDIA H200, 1 h 36 min with 2 workers`; empty when nothing is left."""
    parts = []
    if forecast.devices:
        unit, per_hour = next((found for found in _UNITS if forecast.device_hours * found[1] >= 1), _UNITS[-1])
        mean, low, high = (f"{hours * per_hour:.1f}" for hours in (forecast.device_hours, forecast.low, forecast.high))
        clock = f", {duration(forecast.hours * 3600)} with {forecast.workers} workers" if forecast.workers > 1 else ""
        parts.append(f"about {mean} {unit} ({low} to {high}) on {', '.join(forecast.devices)}{clock}")
    if forecast.unknown_jobs:
        parts.append(f"{forecast.unknown_jobs} jobs of unknown speed: the first worker measures them")
    return "; ".join(parts)
