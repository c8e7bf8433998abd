"""`nftlab sweep measure`: what sweeps would cost on this machine, before anything is launched."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.database import to_write
from nftlab.cli.forecast import expected, told
from nftlab.cli.options import Db, Json
from nftlab.cli.output import bars, cells, duration, emit, emit_json, number, printable, say, table
from nftlab.configuration import build, cost_factors, differing
from nftlab.errors import UsageError

if TYPE_CHECKING:
    from nftlab.store import Forecast
    from nftlab.worker.timing import Timed

_ALWAYS = ("algorithm", "network", "dataset")
_FIGURES = ("jobs", "at once", "s an epoch", "all jobs")


def measure(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Sweep files, or folders of them.")],
    device: Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Time a few steps of every kind of job that sweep files ask for, and tell what all of it would cost here.

    Nothing is launched or trained. Speeds are kept in the job table, where workers, --dry-run and status find them;
    what is known of this machine is not timed again.
    """
    from nftlab.cli.sweep import load_sweeps
    from nftlab.store import kinds_of
    from nftlab.worker import WorkerOptions
    from nftlab.worker.budget import Wishes
    from nftlab.worker.timing import time_kinds

    if device == "all" or "," in device:
        raise UsageError(f"--device {device}: one device is measured at a time", "such as --device cuda:0; its like need no measuring")
    sweeps = load_sweeps(paths)
    options = WorkerOptions(device=device)
    kinds = kinds_of(sweeps)
    engine, _ = to_write(db)
    found: list[Timed] = []
    with Wishes(None) as wishes, bars() as bar:
        bar("measuring", 0, len(kinds))
        for timed in time_kinds(engine, kinds, options, wishes, say):
            found.append(timed)
            bar("measuring", len(found), len(kinds))
        stopped = wishes.exit_code if wishes.stop else 0
    found.sort(key=lambda timed: kinds.index(timed.kind))
    _tell(found, expected(sweeps, db), as_json)
    if code := stopped or int(any(timed.speed is None for timed in found)):
        raise typer.Exit(code)


def _tell(found: list[Timed], forecast: Forecast, as_json: bool) -> None:
    rows = [_row(timed) for timed in found]
    if as_json:
        emit_json({"kinds": rows, "forecast": asdict(forecast)})
    else:
        if rows:
            _show(rows)
        emit(printable(told(forecast)))
    if not found:
        say("nothing to measure: of a search nothing is known before its sampler proposes")
    for why in dict.fromkeys(timed.why for timed in found if timed.why):
        say(f"not measured: {why}")


def _row(timed: Timed) -> dict[str, Any]:
    """A kind: what it is, how many jobs and lane-epochs there are of it, and how fast."""
    hypers, speed = build(timed.kind.config), timed.speed
    known = {"lanes": speed.lanes, "way": speed.way, "seconds": speed.seconds} if speed else dict.fromkeys(("lanes", "way", "seconds"))
    return {
        "what": cost_factors(hypers) | {"epochs": hypers.epochs},
        "jobs": timed.kind.jobs,
        "epochs": timed.kind.jobs * hypers.epochs,
        **known,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    """The kinds under the parameters in which they differ."""
    names = differing((row["what"] for row in rows), always=_ALWAYS)
    texts = []
    for row in rows:
        seconds = row["seconds"]
        texts.append(
            [
                *cells(row["what"], names),
                row["jobs"],
                row["lanes"] or "–",
                number(seconds, 3),
                duration(seconds and row["epochs"] * seconds),
            ]
        )
    table([*names, *_FIGURES], texts, right=_FIGURES)
