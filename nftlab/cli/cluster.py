"""`nftlab cluster`: workers on Slurm."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nftlab.cli.database import shown, to_read, to_work
from nftlab.cli.options import Db, Json
from nftlab.cli.output import emit, emit_json, say, table
from nftlab.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Place workers on Slurm, look after them, stop them.")

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the Slurm jobs.")]
Which = Annotated[list[str] | None, typer.Argument(metavar="[ARRAY | TASK]...", help="Slurm ids such as 12 or 12_3; default all.")]


@app.command()
def launch(
    context: typer.Context,
    options: Annotated[list[str] | None, typer.Argument(metavar="[-- OPTIONS]...", help="Options for `nftlab worker`.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, metavar="N", help="How many.")] = 1,
    gpus: Annotated[int, typer.Option("--gpus-per-worker", min=0, metavar="N", help="With several, one worker process for each.")] = 1,
    cpus: Annotated[int | None, typer.Option("--cpus-per-worker", min=1, metavar="C", help="Cores; default Slurm's.")] = None,
    time: Annotated[str, typer.Option("--time", metavar="T", help="Time limit: 20h, 1.5h, 90m.")] = "4h",
    partition: Annotated[str | None, typer.Option("--partition", metavar="P", help="Default Slurm's.")] = None,
    mem: Annotated[str | None, typer.Option("--mem", metavar="SIZE", help="Memory of each, such as 16G; default Slurm's.")] = None,
    requeue: Annotated[bool, typer.Option("--requeue", help="Those that the time limit stops go back into Slurm's queue.")] = False,
    setup: Annotated[list[str] | None, typer.Option("--setup", metavar="LINE", help="Shell line run before it; repeatable.")] = None,
    sbatch: Annotated[list[str] | None, typer.Option("--sbatch", metavar="K=V", help="Such as account=lab, exclusive; repeatable.")] = None,
    name: Name = "nftlab",
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Place an array of workers that drains the job table.

    Each is told before its time is over, hands its jobs back and leaves; when nothing is left, all leave with exit code 0.
    """
    from nftlab import cluster
    from nftlab.cli.worker import check
    from nftlab.worker.budget import seconds

    words = tuple(options or ())
    request = cluster.Request(workers, gpus, cpus, seconds(time), partition, mem, name, tuple(setup or ()), _pairs(sbatch), requeue, words)
    check(context, request.worker(), processes=max(gpus, 1))  # here rather than on the node
    cluster.refuse_file(shown(db))  # before one is made
    engine, url = to_work(db)
    placed = cluster.launch(engine, request, Path(os.environ.get("NFTLAB_RUNS") or "runs") / "slurm")
    if cluster.local_only(engine):
        say(f"{url} is an address of this machine alone: workers on other nodes will not reach it")
    if as_json:
        return emit_json({"array": placed.id, "workers": placed.workers, "logs": placed.logs})
    emit(f"array {placed.id}: {workers} workers on {url}, logs in {placed.logs}")


@app.command()
def status(which: Which = None, name: Name = "nftlab", as_json: Json = False, db: Db = None) -> None:
    """Show your workers on Slurm: state, node, time, jobs done."""
    from nftlab import cluster, store

    found = cluster.tasks(name, which or ())
    engine = to_read(db)
    done = {} if engine is None else store.done_by_task(engine)
    rows: list[dict[str, Any]] = [asdict(task) | {"jobs_done": done.get(task.task, 0)} for task in found]
    jobs = dict.fromkeys(store.STATES, 0) if engine is None else store.status(engine)["jobs"]
    if as_json:
        return emit_json({"states": Counter(task.state for task in found), "tasks": rows, "jobs": jobs})
    columns = ["task", "state", "node", "elapsed", "left", "jobs done", "reason"]
    table(columns, [[row[name.replace(" ", "_")] for name in columns] for row in rows], right=["jobs done"])
    say(", ".join(f"{count} {state}" for state, count in jobs.items() if count) or "no jobs")


@app.command()
def stop(
    which: Which = None,
    wait: Annotated[float, typer.Option("--wait", min=0, metavar="S", help="Seconds until those still there are cancelled.")] = 60.0,
    name: Name = "nftlab",
    as_json: Json = False,
) -> None:
    """Stop your workers: they finish the epoch and hand their jobs back first."""
    from nftlab import cluster

    def told(running: int) -> None:
        say(f"{running} running: they hand their jobs back and leave; this takes up to {wait:.0f} s")

    done = cluster.stop(name, which or (), wait, waiting_for=told)
    if as_json:
        return emit_json(asdict(done))
    emit(f"{done.left} left, {done.waiting} had not started, {done.cancelled} cancelled")


def _pairs(written: list[str] | None) -> tuple[tuple[str, str | bool], ...]:
    pairs = [word.removeprefix("--").partition("=") for word in written or ()]
    for name, equals, value in pairs:
        if not name or (equals and not value):
            raise UsageError(f"--sbatch {name + equals + value!r} is not NAME=VALUE")
    return tuple((name, value if equals else True) for name, equals, value in pairs)
