"""What the job table costs: claims and finishes per second on SQLite, and how long a large grid takes to enqueue.

    python benchmarks/queue.py [--jobs 8000] [--processes 4] [--repeat 3] [--json] [--out FILE]

Processes share one fresh SQLite file and claim and finish until nothing is left, at packs of 1 and of 8; that each job was claimed
and finished exactly once is asserted. The median of the repeats counts: they wait for the disk, which others use too. Results also
go to benchmarks/results/queue.json and queue.md.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this folder: `queue.py` in it would hide the standard library's module of that name

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy

from nftlab import __version__, store
from nftlab.spec import load_text
from nftlab.store import Outcome, Queue, Worker

RESULTS = Path(__file__).parent / "results" / "queue.json"
GOALS = {"jobs_per_second": 1500, "enqueue_seconds": 2.0}
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


def work(url: str, k: int, number: int, barrier: Any, claimed: Any) -> None:
    """One worker: claim k, finish them, until nothing is left; reports the job ids it claimed."""
    engine = store.open_db(url, create=False)
    assert engine is not None
    queue, me, mine = Queue(engine), Worker(f"worker-{number}", platform.node(), os.getpid()), []
    barrier.wait()
    while claims := queue.claim(me, k, {"git_sha": "benchmark"}):
        stale = queue.finish([(claim, DONE) for claim in claims])
        assert not stale, f"nobody else may have had {stale}"
        mine += [claim.job_id for claim in claims]
    claimed.put(mine)


def drain(folder: Path, name: str, jobs: int, processes: int, k: int) -> float:
    """Work off `jobs` jobs with packs of k; returns jobs per second, having checked that each was claimed and finished once."""
    url = f"sqlite:///{folder / f'drain-{name}.sqlite'}"
    engine = store.open_db(url, create=True)
    assert engine is not None
    sweep = load_text(grid("drain", 20, 20, 5, jobs // 2000), "benchmark")
    store.launch(engine, sweep, code={"git_sha": "benchmark"})
    context = multiprocessing.get_context("spawn")
    barrier, claimed = context.Barrier(processes + 1), context.Queue()
    workers = [context.Process(target=work, args=(url, k, i, barrier, claimed)) for i in range(processes)]
    for worker in workers:
        worker.start()
    barrier.wait()
    begun = time.perf_counter()
    shares = [claimed.get() for _ in workers]
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    times = Counter(job for share in shares for job in share)
    assert len(times) == jobs, "a job was never claimed"
    assert set(times.values()) == {1}, "a job was claimed twice"
    verified = store.verify(engine, "drain")
    assert store.complete(verified), verified
    engine.dispose()
    return jobs / seconds


def enqueue(folder: Path) -> dict[str, Any]:
    """Expand and launch a grid of 13,020 jobs into a fresh file, then launch it again."""
    url = f"sqlite:///{folder / 'enqueue.sqlite'}"
    engine = store.open_db(url, create=True)
    assert engine is not None
    text = grid("large", 20, 31, 7, 3)
    begun = time.perf_counter()
    sweep = load_text(text, "benchmark")
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


def deep(folder: Path, jobs: int) -> dict[str, Any]:
    """Milliseconds per claim and finish of one job, by one process, at the head of a queue of `jobs`."""
    engine = store.open_db(f"sqlite:///{folder / f'deep-{jobs}.sqlite'}", create=True)
    assert engine is not None
    store.launch(engine, load_text(grid("deep", 20, 10, 5, jobs // 1000), "benchmark"), code={})
    queue, me, times = Queue(engine), Worker("worker", platform.node(), os.getpid()), []
    for _ in range(500):
        begun = time.perf_counter()
        queue.finish([(claim, DONE) for claim in queue.claim(me, 1, {})])
        times.append(time.perf_counter() - begun)
    engine.dispose()
    return {"jobs": jobs, "milliseconds": 1000 * statistics.median(times)}


def measure(jobs: int, processes: int, repeat: int) -> dict[str, Any]:
    """All measurements, with the machine and versions they belong to."""
    drains = []
    with tempfile.TemporaryDirectory() as folder:
        for k in (1, 8):
            rates = [drain(Path(folder), f"{k}-{i}", jobs, processes, k) for i in range(repeat)]
            drains.append({"k": k, "jobs": jobs, "processes": processes, "jobs_per_second": statistics.median(rates), "repeats": rates})
        enqueued = enqueue(Path(folder))
        depths = [deep(Path(folder), n) for n in (1_000, 100_000)]
    machine = {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.system(), "load": os.getloadavg()[1]}
    versions = {
        "nftlab": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": sqlalchemy.__version__,
    }
    about = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, "versions": versions, "goals": GOALS}
    return {**about, "drain": drains, "enqueue": enqueued, "depth": depths}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def markdown(result: dict[str, Any]) -> str:
    """The measurements as a table."""
    machine, versions, enqueued = result["machine"], result["versions"], result["enqueue"]
    rows = []
    for d in result["drain"]:
        what = f"claim + finish, packs of {d['k']}, {d['processes']} processes (median of {len(d['repeats'])})"
        rows.append(f"| {what} | {d['jobs']} jobs | {d['jobs_per_second']:.0f} jobs/s | ≥ {GOALS['jobs_per_second']} |")
    parts = "".join(f", {name} {enqueued[f'{name}_seconds']:.2f}" for name in ("expand", "launch", "relaunch"))
    what = f"enqueue a grid (seconds{parts})"
    rows.append(f"| {what} | {enqueued['jobs']} jobs | {enqueued['enqueue_seconds']:.2f} s | < {GOALS['enqueue_seconds']:.0f} s |")
    rows += [
        f"| claim + finish, one process, so many queued | {d['jobs']} jobs | {d['milliseconds']:.2f} ms | the same |"
        for d in result["depth"]
    ]
    where = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f}; " + ", ".join(
        f"{name} {version}" for name, version in versions.items()
    )
    head = f"# The job table on SQLite\n\n`python benchmarks/queue.py`, {result['date']}. {where}.\n"
    return head + "\n| what | n | measured | goal |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8000, help="jobs to work off (a multiple of 2000)")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write; the table goes beside it as .md")
    options = parser.parse_args()
    result = measure(options.jobs, options.processes, options.repeat)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(result))
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()
