"""What people get: whole jobs through `nftlab worker`, claim, tracking and evaluation included, beside the plain loop.

    python benchmarks/worker.py [speed] [start] [overhead] [memory] [--rounds 3] [--out FILE] [--json]

Needs mnist-rot (for memory: mnist-back-image), as `nftlab data make` makes them; NFTLAB_DATA says where.
speed: every method and network as the worker trains it by default, on a part of mnist-rot, against `benchmarks/plain.py` on
the same examples for as many epochs; jobs per hour from the first claim to the last finish. start: how soon a job trains.
overhead: 32 classic FC-A jobs in one pack by the bare training loop, by a worker without and with W&B offline. memory: peak of
all of a worker's processes on 62,000 images, by network and pack.
Results go to benchmarks/results/worker.json and .md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its queue.py would hide the standard library's

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from nftlab.process import prepare

prepare()  # what the worker's trainer does before it loads torch

from benchmarks import plain
from benchmarks.about import RESULTS, about, command, keep, resident_peak, where
from nftlab import data, store
from nftlab.configuration import build
from nftlab.data.task import Task
from nftlab.speeds import fastest
from nftlab.train import Member, Pack
from nftlab.train.loop import Group
from nftlab.train.measure import measure

# (method, network, precision, share of mnist-rot, epochs, jobs); a quarter of NFT's epochs are simplified, as published
SPEED = [
    ("ct", "fc-a", "fp32", 1.0, 40, 27),
    ("ct", "fc-b", "fp32", 0.1, 8, 3),
    ("ct", "cnn-a", "fp32", 0.1, 8, 3),
    ("ct", "cnn-b", "fp32", 0.1, 8, 3),
    ("ct", "resnet18", "fp32", 0.02, 4, 2),
    ("nft", "fc-a", "fp32", 0.1, 4, 3),
    ("nft", "fc-b", "fp32", 0.1, 4, 3),
    ("nft", "cnn-a", "fp32", 0.25, 8, 3),
    ("nft", "cnn-a", "bf16", 0.25, 8, 3),
    ("nft", "cnn-b", "fp32", 0.1, 4, 3),
    ("nft", "resnet18", "fp32", 0.02, 4, 2),
]
PARTS = "speed", "start", "overhead", "memory"
SEEN = 60.0  # seconds in which a worker starts and trains every kind of step
MEMORY = [("ct", "fc-a", 1), ("ct", "fc-a", 32), ("ct", "cnn-a", 1), ("nft", "cnn-a", 1), ("nft", "cnn-a", 2), ("nft", "cnn-a", 4)]
GOAL = {("ct", "fc-a", "fp32"): 10.0, ("nft", "cnn-a", "fp32"): 1.5, ("nft", "cnn-a", "bf16"): 2.5}  # jobs per hour, × plain; else 1.0


def sweep(name: str, jobs: int, **fields: Any) -> str:
    """A sweep file of so many jobs that differ in their seed and may differ in learning rate."""
    rates = [1e-4 * (i + 1) for i in range(jobs // 3)] if jobs % 3 == 0 else [1e-4]
    values = "".join(f"  {key}: {{value: {value}}}\n" for key, value in fields.items())
    head = f"name: {name}\nmethod: grid\nmetric: {{name: val/error, goal: minimize}}\nparameters:\n"
    return f"{head}{values}  lr: {{values: {rates}}}\nnftlab:\n  seeds: {jobs // len(rates)}\n"


def work(text: str, *options: str, seconds: float | None = None) -> dict[str, Any]:
    """Launch the sweep and let a fresh worker drain it; time from the first claim to the last finish, and peak bytes by process.

    After `seconds`, if given, the worker is told to stop at once.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sweep.yaml").write_text(text)
        environment = {**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": sys.path[0]}
        command = [sys.executable, "-m", "nftlab"]
        subprocess.run([*command, "sweep", "launch", "sweep.yaml"], cwd=folder, env=environment, check=True, capture_output=True)
        worker = subprocess.Popen([*command, "worker", "--drain", *options], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        peaks: dict[int, int] = {}
        began = time.monotonic()
        while worker.poll() is None:
            for pid in _tree(worker.pid):
                peaks[pid] = max(peaks.get(pid, 0), resident_peak(pid))
            time.sleep(0.05)
            if seconds and time.monotonic() - began > seconds:
                worker.send_signal(signal.SIGINT)  # the second one stops it at once
        assert worker.stderr is not None
        said = worker.stderr.read()
        if seconds:
            return _peaks(peaks)
        assert worker.returncode == 0, said
        engine = store.open_db(f"sqlite:///{folder}/db/nftlab.sqlite", create=False)
        assert engine is not None
        found = store.jobs(engine)
        assert all(job.state == "done" for job in found), said
        tries = [attempt for job in found for attempt in store.story(engine, job.job_key)["attempts"]]
        engine.dispose()
    took = max(t["ended_at"] for t in tries) - min(t["started_at"] for t in tries)
    circumstances = tries[0]["circumstances"]
    return {
        "seconds": took,
        "jobs": len(found),
        "trained": sum(job.seconds for job in found),
        "lanes": max(t["circumstances"]["pack_size"] for t in tries),
        "way": circumstances.get("way"),
        **_peaks(peaks),
    }


def _peaks(peaks: dict[int, int]) -> dict[str, Any]:
    return {"peak": sum(peaks.values()), "processes": sorted(peaks.values(), reverse=True)}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def speed(rounds: int, methods: list[str], networks: list[str], precisions: list[str]) -> list[dict[str, Any]]:
    """Jobs per hour of the worker and of the plain loop, by turns."""
    wanted = [row for row in SPEED if row[0] in methods and row[1] in networks and row[2] in precisions]
    whole, rows = data.load("mnist-rot"), []
    for method, network, precision, share, epochs, jobs in wanted:
        task, batch = whole.part(share), 128 if network == "resnet18" else 32
        simplified = epochs // 4 if method == "nft" else 0
        fields = {"dataset": "mnist-rot", "data_share": share, "algorithm": method, "network": network, "precision": precision}
        text = sweep("speed", jobs, **fields, epochs=epochs, batch_size=batch)
        plains, ours = [], []
        plain.Trainer(network, task.shape, "cpu")  # torch's first optimiser imports its compiler: not part of a job
        for _ in range(rounds):
            plains.append(_plain(task, network, epochs, simplified, batch))
            ours.append(work(text))
            each = f"plain {plains[-1]:.1f} s a job, ours {ours[-1]['seconds'] / jobs:.2f} s, {ours[-1]['lanes']} at once"
            _say(f"{method} {network} {precision}: {each}")
        rate, mine = 3600 / statistics.median(plains), statistics.median(3600 * jobs / each["seconds"] for each in ours)
        row = {"method": method, "network": network, "precision": precision, "share": share, "epochs": epochs, "jobs": jobs}
        ratio = {"plain_per_hour": rate, "ours_per_hour": mine, "ratio": mine / rate, "goal": GOAL.get((method, network, precision), 1.0)}
        rows.append(row | ratio | {"lanes": ours[0]["lanes"], "way": ours[0]["way"], "plain_seconds": plains, "ours": ours})
    return rows


def _plain(task: Task, network: str, epochs: int, simplified: int, batch: int) -> float:
    """Seconds of one job by the plain loop; what repeats from epoch to epoch is timed twice and multiplied."""
    plain.BATCH = batch
    splits = tuple(
        plain.Examples(split.x * task.scale if task.scale != 1 else split.x, split.y) for split in (task.train, task.valid, task.test)
    )
    if simplified or epochs <= 8:
        return plain.job(network, task.shape, splits, epochs, simplified, "cpu")  # type: ignore[arg-type]
    return plain.job(network, task.shape, splits, 2, 0, "cpu") / 2 * epochs  # type: ignore[arg-type]


def overhead(rounds: int, jobs: int = 32, epochs: int = 200) -> dict[str, Any]:
    """Seconds of the same pack by the bare loop, by a worker, and by a worker with W&B; of the workers', the share beside its epochs.

    That share compares a run with itself, so a machine that is slower in one minute than in another does not matter to it.
    """
    task = data.load("mnist-rot")
    text = sweep("overhead", jobs, dataset="mnist-rot", algorithm="ct", network="fc-a", epochs=epochs)
    h = build({"algorithm": "ct", "network": "fc-a", "dataset": "mnist-rot", "epochs": epochs})
    chosen = fastest(measure(task, h, device="cpu", sizes=[jobs], work=float("inf")))
    assert chosen is not None
    runs: dict[str, list[float]] = {"loop": [], "worker": [], "worker with W&B": []}
    beside: dict[str, list[float]] = {}
    for _ in range(rounds):
        start = time.perf_counter()
        pack = Pack(task, [Member(f"lane-{seed}", seed, h) for seed in range(jobs)], way=chosen.way)
        while pack.live:
            pack.train_epoch()
        runs["loop"].append(time.perf_counter() - start)
        for name, options in (("worker", ["--no-wandb"]), ("worker with W&B", [])):
            ran = work(text, *options, "--pack", str(jobs))
            runs[name].append(ran["seconds"])
            beside.setdefault(name, []).append(1 - ran["trained"] / ran["seconds"])
        _say(f"overhead: {', '.join(f'{name} {times[-1]:.1f} s' for name, times in runs.items())}; beside epochs {beside}")
    base = statistics.median(runs["loop"])
    shares = {name: statistics.median(times) / base - 1 for name, times in runs.items() if name != "loop"}
    return {"jobs": jobs, "epochs": epochs, "way": chosen.way, "runs": runs, "shares": shares, "beside": beside}


def start() -> list[dict[str, Any]]:
    """Seconds from a job's arrival in a warm trainer to its first step: to the end of that step, less what a step takes."""
    task, rows = data.load("mnist-rot"), []
    for method, network in (("ct", "fc-a"), ("ct", "fc-b"), ("ct", "cnn-a"), ("ct", "cnn-b"), ("ct", "resnet18"), ("nft", "cnn-a")):
        h = build({"algorithm": method, "network": network, "dataset": "mnist-rot"})
        pack, times = Pack(task, [Member("first", 0, h)]), []
        for seed in range(1, 6):
            begun = time.perf_counter()
            pack.add([Member(f"lane-{seed}", seed, h)])
            steps = Group(pack._program, [pack._lanes[f"lane-{seed}"]], [pack._program.method.plan(h, 1, len(pack._program.edges))]).train()
            next(steps)
            first = time.perf_counter()
            next(steps)
            times.append((first - begun) - (time.perf_counter() - first))
            pack.remove(f"lane-{seed}")
        rows.append({"method": method, "network": network, "seconds": statistics.median(times[1:])})
        _say(f"start: {method} {network}: {1000 * rows[-1]['seconds']:.0f} ms")
    return rows


def memory() -> list[dict[str, Any]]:
    """Peak bytes of a worker, all processes added up; slow epochs are cut off when every kind of step was seen."""
    rows = []
    for method, network, lanes in MEMORY:
        text = sweep("memory", lanes, dataset="mnist-back-image", algorithm=method, network=network, epochs=2)
        if method == "nft":
            text = text.replace("parameters:\n", "parameters:\n  ratio_simp: {value: 0.5}\n  phase_order: {value: simplifier-first}\n")
        ran = work(text, "--pack", str(lanes), seconds=SEEN if method == "nft" else None)
        rows.append({"method": method, "network": network, "lanes": lanes, "peak": ran["peak"], "processes": ran["processes"]})
        _say(f"memory: {method} {network} × {lanes}: {ran['peak'] / 2**20:.0f} MiB in {len(ran['processes'])} processes")
    return rows


def markdown(result: dict[str, Any]) -> str:
    """What was measured, as tables."""
    tables = {"speed": _speeds, "start": _start, "overhead": _overhead, "memory": _memory}
    lines = ["# Through the worker\n"]
    for name, table in tables.items():
        if name in result:
            lines += [*table(result[name]["found"]), f"\n`{result[name]['command']}`, {where(result[name])}.\n"]
    return "\n".join(lines)


def _speeds(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "Jobs per hour from first claim to last finish, medians; part: of mnist-rot's rows.\n"
    yield "| method | network | precision | part, epochs | jobs | at once | plain loop | worker | ratio | goal |"
    yield "|---|---|---|---|---:|---|---:|---:|---:|---:|"
    for r in rows:
        size = f"{100 * r['share']:g} %, {r['epochs']} | {r['jobs']} | {r['lanes']} {r['way']}"
        rates = f"{r['plain_per_hour']:.1f} | {r['ours_per_hour']:.1f} | **{r['ratio']:.2f}** | ≥ {r['goal']}"
        yield f"| {r['method']} | {r['network']} | {r['precision']} | {size} | {rates} |"


def _overhead(found: dict[str, Any]) -> Iterator[str]:
    runs, shares = found["runs"], found["shares"]
    pack = f"A pack of {found['jobs']} classic FC-A jobs, {found['epochs']} epochs of mnist-rot, {found['way']}"
    yield f"{pack}: seconds, median of {len(runs['loop'])}.\n"
    yield f"| {' | '.join(runs)} |\n|{'---:|' * len(runs)}"
    cells = [f"{statistics.median(times):.1f}{f' ({100 * shares[name]:+.1f} %)' if name in shares else ''}" for name, times in runs.items()]
    yield f"| {' | '.join(cells)} |"
    beside = ", ".join(f"{100 * statistics.median(of):.2f} % of the time of a {name}" for name, of in found["beside"].items())
    yield f"\nFrom the first claim to the last finish no epoch ran in {beside}."


def _start(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "Milliseconds from a job's arrival in a warm trainer to its first step, initial weights included; median of 4.\n"
    yield f"| {' | '.join(row['method'] + ' ' + row['network'] for row in rows)} |\n|{'---:|' * len(rows)}"
    milliseconds = [f"{1000 * row['seconds']:.0f}" for row in rows]
    yield f"| {' | '.join(milliseconds)} |"


def _memory(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "Peak resident memory on mnist-back-image (62,000 images): all processes of a worker added up, and the trainer.\n"
    yield "| method | network | lanes | worker, MiB | trainer, MiB |\n|---|---|---:|---:|---:|"
    for r in rows:
        yield f"| {r['method']} | {r['network']} | {r['lanes']} | {r['peak'] / 2**20:.0f} | {r['processes'][0] / 2**20:.0f} |"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="speed, start, overhead, memory; all if none is named")
    parser.add_argument("--networks", default=",".join(plain.NETWORKS), help="of the speeds")
    parser.add_argument("--methods", default="ct,nft", help="of the speeds")
    parser.add_argument("--precisions", default="fp32,bf16", help="of the speeds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.add_argument("--out", type=Path, default=RESULTS / "worker.json", help="JSON file to write; the tables go beside it as .md")
    options = parser.parse_args()
    run: dict[str, Any] = {
        "speed": partial(speed, options.rounds, options.methods.split(","), options.networks.split(","), options.precisions.split(",")),
        "overhead": partial(overhead, options.rounds),
    }
    run |= {"start": start, "memory": memory}
    result = json.loads(options.out.read_text()) if options.out.is_file() else {}  # parts not measured now stay as they were
    for part in options.parts or PARTS:
        header = {"command": command("worker"), **about("cpu")}
        result[part] = header | {"found": run[part]()}
        keep(result, markdown(result), options.out)
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()
