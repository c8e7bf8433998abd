"""`nftlab sweep`: put sweep files' runs into the job table, and prove that they are all there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli import export, measure, standing, steer, wait
from nftlab.cli.database import same_table, to_read, to_write
from nftlab.cli.options import Db, Json, Name, Priority, sweep_file
from nftlab.cli.output import busy, confirm, emit, emit_json, printable, say, written
from nftlab.cli.preview import preview
from nftlab.cli.pruning import told

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from nftlab.spec import Sweep
    from nftlab.store import Extension, LaunchResult

Drop = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; also if a file no longer asks for jobs that it did: they stay.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Launch, show, steer, check and export sweeps.")


@app.command()
def launch(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Sweep files, or folders of them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be launched and its cost; change nothing.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Forget the results of finished jobs and run them again.")] = False,
    yes: Drop = False,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Put the runs of sweep files into the job table, each once."""
    with busy("reading"):
        sweeps = load_sweeps(paths)
    for sweep in sweeps:
        _notes(sweep)
    if dry_run:
        return preview(sweeps, paths, as_json, db)
    from nftlab import store
    from nftlab.code import identity

    engine, shown = to_write(db)
    if not yes:
        with busy("comparing"):
            dropped = [store.dropped(engine, sweep) for sweep in sweeps]
        _refuse_to_drop(sweeps, dropped)
    if rerun and not confirm("forget and run again", _finished(engine, sweeps), yes):
        raise typer.Exit(1)
    code = identity()
    with busy("launching"):
        results = [store.launch(engine, sweep, code=code, rerun=rerun) for sweep in sweeps]
    counts = [{"sweep": result.sweep, "jobs_added": result.jobs_added, "jobs_known": result.jobs_known} for result in results]
    emit_json(_counted(counts)) if as_json else _added(results)
    _standing(engine, sweeps, db)
    say(f"database: {shown}\nnext: nftlab worker --drain{same_table(db)}")


@app.command()
def verify(
    name: Name,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Exit 0 only if every run that the sweep asks for has exactly one accepted finish.

    Asked for is what was launched; of a file, also what it asks for by now.
    """
    from nftlab import store
    from nftlab.errors import NotFoundError

    file = sweep_file(name)
    sweep, engine = file.name if file else name, to_read(db)
    if engine is None:
        raise NotFoundError(f"sweep {sweep!r} was never launched", f"nftlab sweep launch {name if file else 'FILE'}")
    with busy("verifying"):
        found = store.verify(engine, sweep)
        new = _not_launched(engine, file) if file else 0
    if new:
        say(f"{name} asks for {new} runs that were never launched; nftlab sweep extend {name}{same_table(db)}")
    complete = store.complete(found)
    if as_json:
        emit_json(found | ({"not_launched": new} if file else {}))
    else:
        emit(printable(f"{sweep}: {standing.verdict(found, complete)}{f'; {new} not launched' if new else ''}"))
    if not complete or new:
        raise typer.Exit(1)


@app.command()
def extend(
    path: Annotated[str, typer.Argument(metavar="FILE", help="The file of a launched sweep, with more seeds or values by now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added; change nothing.")] = False,
    priority: Priority = None,
    yes: Drop = False,
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Add to a launched sweep the runs that its file asks for by now."""
    from nftlab import store
    from nftlab.code import identity
    from nftlab.errors import NotFoundError, UsageError

    sweeps = load_sweeps([path])
    if len(sweeps) != 1:
        raise UsageError(f"{path} holds {len(sweeps)} sweeps: one is extended at a time")
    sweep, engine = sweeps[0], to_read(db)
    if engine is None:
        raise NotFoundError(f"sweep {sweep.name!r} was never launched", f"nftlab sweep launch {path}")
    found = store.extension(engine, sweep)
    _brings(sweep.name, found, before=store.to_propose(engine, sweep=sweep.name))
    if not (yes or dry_run):
        _refuse_to_drop(sweeps, [found.dropped])
    if not dry_run:
        with busy("launching"):
            store.launch(engine, sweep, code=identity())
        if priority is not None:
            store.set_priority(engine, sweep.name, priority)
        _standing(engine, sweeps, db, settled=priority is not None)
    if as_json:
        counts = {"sweep": sweep.name, "jobs_added": found.added, "jobs_known": found.known, "to_propose": found.to_propose}
        return emit_json(counts | {"dropped": found.dropped, "seeds": found.seeds, "values": found.values})
    emit(printable(f"{sweep.name}: {found.added} jobs {'to add' if dry_run else 'added'}, {found.known} known"))


app.command()(measure.measure)
app.command("list")(standing.list_)
app.command("show")(standing.show)
app.command()(wait.wait)
for _verb in (steer.pause, steer.resume, steer.stop, steer.cancel, steer.delete):
    app.command()(_verb)
app.command(context_settings={"ignore_unknown_options": True})(steer.priority)  # -1 is a number, not an option
app.command()(export.export)


def load_sweeps(paths: list[str]) -> list[Sweep]:
    """All sweeps of all files; the problems of all files are told at once."""
    from nftlab.errors import SpecError
    from nftlab.resources import find_sweep
    from nftlab.spec import load_all

    sweeps: list[Sweep] = []
    problems: list[str] = []
    for path in dict.fromkeys(find_sweep(path) for path in paths):
        try:
            sweeps += load_all(path)
        except SpecError as error:
            problems += error.problems
    for index, sweep in enumerate(sweeps):
        if twin := next((other for other in sweeps[:index] if other.name == sweep.name and other.path != sweep.path), None):
            problems.append(f"{sweep.path}: name: {sweep.name!r} is also the name of {twin.path}")
    if problems:
        raise SpecError(problems)
    return list({sweep.name: sweep for sweep in sweeps}.values())


def _notes(sweep: Sweep) -> None:
    for note in sweep.notes:
        say(f"{sweep.name}: {note}")
    if sweep.duplicates:
        say(f"{sweep.name}: {sweep.duplicates} configurations equal others and run once")
    if pruned := told(sweep):
        say(f"{sweep.name}: {pruned}")


def _refuse_to_drop(sweeps: list[Sweep], dropped: list[int]) -> None:
    """Raises UsageError for files that no longer ask for jobs of their sweeps; often such a file only has the name of another."""
    from nftlab.errors import UsageError

    remedy = "put back what it asked for, give it another `name:`, or add --yes: they stay, but nothing asks for them"
    counted = zip(sweeps, dropped, strict=True)
    wrong = [f"{sweep.path} no longer asks for {count} jobs of sweep {sweep.name}; {remedy}" for sweep, count in counted if count]
    if wrong:
        raise UsageError("\n".join(wrong))


def _finished(engine: Engine, sweeps: list[Sweep]) -> int:
    from nftlab import store

    return sum(job.state not in ("queued", "running") for sweep in sweeps for job in store.jobs(engine, sweep=sweep.name))


def _counted(counts: list[dict[str, Any]]) -> dict[str, Any]:
    """One sweep as itself, several in a list with their totals."""
    totals = {key: sum(count[key] for count in counts) for key in ("jobs_added", "jobs_known")}
    return counts[0] if len(counts) == 1 else {"sweeps": counts, **totals}


def _added(results: list[LaunchResult]) -> None:
    for result in results:
        again = f", {result.jobs_rerun} to run again" if result.jobs_rerun else ""
        emit(printable(f"{result.sweep}: {result.jobs_added} jobs added, {result.jobs_known} known{again}"))
        if result.to_propose:
            say(f"{result.sweep}: {result.to_propose} jobs more will be proposed while workers train")
        if result.dropped:
            say(f"{result.sweep}: {result.dropped} jobs in the table are no longer asked for; they stay")
        if result.other_code and not result.jobs_rerun:
            say(f"{result.sweep}: {result.other_code} finished jobs ran with other code; --rerun runs them again")


def _not_launched(engine: Engine, file: Sweep) -> int:
    """The jobs that a file asks for beyond what was launched, those that its sampler would propose among them."""
    from nftlab import store

    found = store.extension(engine, file)
    return found.added + max(found.to_propose - store.to_propose(engine, sweep=file.name), 0)


def _brings(name: str, found: Extension, *, before: int) -> None:
    """Says what a file adds to a sweep, and what it no longer asks for; `before`: jobs that a search had still to propose."""
    news = {"seeds": found.seeds} if found.seeds else {}
    for what, values in {**news, **found.values}.items():
        say(f"{name}: new {what} {', '.join(written(value) for value in values)}")
    if found.to_propose or before:
        say(f"{name}: {found.to_propose} jobs more will be proposed while workers train ({before} as it stands)")
    if found.dropped:
        say(f"{name}: {found.dropped} jobs in the table are no longer asked for; they stay")


def _standing(engine: Engine, files: list[Sweep], db: str | None, *, settled: bool = False) -> None:
    """Says why jobs of sweeps that were launched again will not run, or not when their file says, unless that was `settled` just now."""
    from nftlab import store

    table, there = {sweep["name"]: sweep for sweep in store.launched(engine)}, same_table(db)
    for name, sweep, file in [(file.name, table[file.name], file) for file in files]:
        if sweep["state"] == "paused":
            say(f"{name} is paused; nftlab sweep resume {name}{there}")
        if count := sweep["jobs"]["cancelled"]:
            say(f"{name}: {count} cancelled jobs stay so; nftlab job retry --sweep {name} --state cancelled{there}")
        if sweep["priority"] != file.priority and not settled:
            say(f"{name} keeps its priority, {sweep['priority']}; nftlab sweep priority {name} {file.priority}{there} gives it the file's")
