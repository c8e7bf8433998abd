"""`nftlab sweep launch --dry-run`: what a launch would do and what it costs."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nftlab.cli.database import same_table
from nftlab.cli.forecast import expected, told
from nftlab.cli.output import cells, emit, emit_json, printable, say, table
from nftlab.cli.pruning import judged
from nftlab.configuration import differing
from nftlab.errors import DatabaseError, SchemaError

if TYPE_CHECKING:
    from nftlab.spec import Sweep

ENDS = 3  # configurations that are shown from each end


def preview(sweeps: list[Sweep], paths: list[str], as_json: bool, db: str | None) -> None:
    """What a launch would ask for and what all of it costs, also what is in the job table already; and what it would drop there."""
    forecast = expected(sweeps, db)
    counts: list[dict[str, Any]] = [
        {"sweep": sweep.name, "jobs": sweep.asked * len(sweep.seeds), "trials": sweep.asked, "seeds": sweep.seeds}
        | {"pruner": judged(sweep), "dropped": dropped}
        for sweep, dropped in zip(sweeps, _dropped(sweeps, db), strict=True)
    ]
    if as_json:
        found = counts[0] if len(counts) == 1 else {"sweeps": counts, "jobs": sum(count["jobs"] for count in counts)}
        emit_json(found | {"forecast": asdict(forecast)})
    else:
        for sweep, count in zip(sweeps, counts, strict=True):
            emit(printable(f"{sweep.name}: {count['trials']} configurations × {len(sweep.seeds)} seeds = {count['jobs']} jobs"))
            _configurations(sweep)
        emit(printable(told(forecast)))
    for count in counts:
        if count["dropped"]:
            say(f"{count['sweep']}: {count['dropped']} jobs in the table are no longer asked for: launch needs --yes or another `name:`")
    if forecast.unknown_jobs and any(sweep.trials for sweep in sweeps):  # of a search nothing is known yet
        say(f"to know what they cost on this machine: nftlab sweep measure {shlex.join(paths)}{same_table(db)}")


def _dropped(sweeps: list[Sweep], db: str | None) -> list[int]:
    """How many jobs in the table each file no longer asks for; none where it cannot be read, which the forecast has said."""
    from nftlab import store

    with contextlib.suppress(DatabaseError, SchemaError):
        if engine := store.open_db(db, create=False):
            return [store.dropped(engine, sweep) for sweep in sweeps]
    return [0] * len(sweeps)


def _configurations(sweep: Sweep) -> None:
    """The first and the last configurations."""
    if sweep.search:
        return emit(f"proposed by {sweep.search.sampler.name} while workers train: none is known yet")
    configs = [trial.config for trial in sweep.trials]
    names = differing(configs, always=("algorithm",))
    rows = [[number, *cells(config, names)] for number, config in enumerate(configs, start=1)]
    if len(rows) > 2 * ENDS:
        rows = [*rows[:ENDS], ["…"] * (len(names) + 1), *rows[-ENDS:]]
    table(["#", *names], rows, right="#")
