"""How fast trials train: a plain loop as published, ours alone, ours in packs, side by side in one process.

    python benchmarks/train.py --quick                 two cores, two minutes
    python benchmarks/train.py [--device cuda] [--networks fc-a,cnn-a] [--methods ct,nft] [--precisions fp32,bf16]
                               [--sizes 1,2,4,8] [--rounds 3] [--out FILE] [--json]

One job is the published one: 200 epochs on 10,000 images of 28×28 in batches of 32, 2,000 to validate and 50,000 to test
(ResNet18: 40,000 of 32×32 in colour, batches of 128, 10,000 and 10,000); NFT simplifies during a quarter of it with
a U-Net of two levels and 64 filters. Steps and evaluations are timed and added up; the plain loop evaluates the test
set after every epoch as the published scripts do, ours when validation improves (taken as every fifth epoch). Images are
noise: times do not depend on them. Each round times all rivals one after the other; medians over rounds count.
Results go to benchmarks/results/train-<device>.json and .md.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its queue.py would hide the standard library's

import argparse
import ctypes
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from nftlab.process import prepare

prepare()  # what the worker's trainer does before it loads torch

import torch

from benchmarks import plain
from benchmarks.about import RESULTS, about, command, keep, resident_peak, where
from benchmarks.ceilings import ceilings, counted
from nftlab.configuration import build
from nftlab.data.task import Split, Task
from nftlab.hypers import Hypers
from nftlab.speeds import Speed, fastest
from nftlab.train import measure
from nftlab.train.arithmetic import PRECISIONS, arithmetic
from nftlab.train.lane import Member, fresh
from nftlab.train.loop import Group
from nftlab.train.program import build as program_of

PAIRS = [("ct", name) for name in plain.NETWORKS] + [("nft", name) for name in plain.NETWORKS if name != "resnet18"]
SIMPLIFIED = 0.25  # of NFT's epochs
COLUMNS = (
    *("method", "network", "precision", "plain loop, s an epoch", "alone, s", "ratio", "best pack", "s a job's epoch", "ratio"),
    *("jobs an hour", "peak memory", "of the arithmetic", "of the memory"),
)
MARKS = {("ct", "fc-a"): 0.49, ("ct", "cnn-a"): 10.0, ("nft", "fc-a"): 78.7}  # seconds; NFT: simplified
SECONDS = 0.4  # of steps timed per rival and round, one step at least
TIMED = 4096  # examples that the plain loop has for it


def task(network: str, device: str) -> Task:
    """Noise in the published sizes."""
    sizes, shape = ((10_000, 2_000, 50_000), (1, 28, 28)) if network != "resnet18" else ((40_000, 10_000, 10_000), (3, 32, 32))
    source = torch.Generator().manual_seed(0)
    splits = [
        Split(torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=source), torch.randint(0, 10, (n,), generator=source))
        for n in sizes
    ]
    return Task("mnist-rot" if network != "resnet18" else "cifar10", shape, 10, *splits, 1 / 255, "noise", "").to(device)


def hypers(method: str, network: str, precision: str) -> Hypers:
    """The published job."""
    batch = 128 if network == "resnet18" else 32
    return build({"algorithm": method, "network": network, "dataset": "mnist-rot", "batch_size": batch, "precision": precision})


def published(data: Task, method: str, network: str, device: str) -> tuple[float, float]:
    """Seconds of an epoch of the plain loop on average over a job, evaluated; and of its (NFT: simplified) epoch without that."""
    plain.BATCH = 128 if network == "resnet18" else 32
    train, valid = (plain.Examples(split.x[:n].cpu() / 255, split.y[:n].cpu()) for split, n in ((data.train, TIMED), (data.valid, 512)))
    run = plain.Trainer(network, data.shape, device)
    run.evaluate(valid)  # to warm up
    steps = -(-len(data.train) // plain.BATCH)
    classic = _timed(lambda n: run.learn(train, 0.0, n), device)
    seconds = bare = classic * steps
    if method == "nft":
        pair = _timed(lambda n: run.learn(train, 0.5, n), device) + _timed(lambda n: run.simplify(train, 0.5, n), device)
        seconds, bare = steps * (SIMPLIFIED * pair + (1 - SIMPLIFIED) * classic), steps * pair
    start = time.perf_counter()
    run.evaluate(valid)
    return seconds + (time.perf_counter() - start) / len(valid) * (len(data.valid) + len(data.test)), bare


def _timed(steps: Callable[[int], Any], device: str) -> float:
    """Seconds per step: two to warm up, two to see how long they take, then as many as fit."""
    steps(2)
    begun = time.perf_counter()
    steps(2)
    n = max(1, min(100, TIMED // plain.BATCH, int(SECONDS / ((time.perf_counter() - begun) / 2))))
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    steps(n)
    return (time.perf_counter() - start) / n


def asked(data: Task, h: Hypers) -> tuple[float, float]:
    """Floating-point operations and bytes of one lane's epoch of training, without evaluation."""
    program = program_of(data, h)
    lane = fresh(program, Member("count", 0, h))
    flops = traffic = 0.0
    with arithmetic(torch.device(data.train.y.device), PRECISIONS[h.precision], deterministic=False):
        for plan, times in measure.kinds(program):
            steps = Group(program, [lane], [plan]).train()
            each = counted(lambda steps=steps: next(steps))  # type: ignore[misc]
            flops, traffic = flops + times * each[0], traffic + times * each[1]
    return flops, traffic


def compare(
    method: str, network: str, precisions: list[str], sizes: list[int], rounds: int, device: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """One row of the table, the plain loop and ours at each precision, size and way: as it stands after each precision, which is named."""
    data = task(network, device)
    plains: list[tuple[float, float]] = []
    ours: dict[tuple[str, int, str], list[Speed]] = {}
    counts: dict[str, tuple[float, float]] = {}
    stopped: dict[str, int] = {}
    peaks: dict[tuple[str, int], int] = {}
    for _ in range(rounds):
        plains.append(published(data, method, network, device))
        for precision in precisions:
            h = hypers(method, network, precision)
            tried = [size for size in sizes if size <= stopped.get(precision, max(sizes))]
            speeds = measure.measure(data, h, device=device, sizes=tried, work=float("inf"))
            stopped[precision] = max(speed.lanes for speed in speeds)
            for speed in speeds:
                ours.setdefault((precision, speed.lanes, speed.way), []).append(speed)
            counts[precision] = counts.get(precision) or asked(data, h)
            row = row_of(method, network, plains, ours, counts)
            if device == "cpu":
                lanes = chosen(row, precision)["lanes"]
                peaks[precision, lanes] = peaks.get((precision, lanes)) or peak(data, h, lanes)
            for each in row["ours"]:
                each["memory"] = each["memory"] or peaks.get((each["precision"], each["lanes"]), 0)
            yield precision, row


def peak(data: Task, h: Hypers, lanes: int) -> int:
    """Bytes that this process has at most, torch and the data included, while so many lanes are timed on the CPU; 0 where nobody tells."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier trials left
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    except (OSError, AttributeError):  # not Linux, or another C library
        return 0
    measure.measure(data, h, device="cpu", sizes=[lanes], work=0.0)
    return resident_peak(os.getpid())


def row_of(
    method: str,
    network: str,
    plains: list[tuple[float, float]],
    ours: dict[tuple[str, int, str], list[Speed]],
    counts: dict[str, tuple[float, float]],
) -> dict[str, Any]:
    """The medians over the rounds so far, in seconds."""
    baseline, bare = (statistics.median(times) for times in zip(*plains, strict=True))
    found = []
    for (precision, lanes, way), speeds in ours.items():
        seconds = statistics.median(speed.seconds for speed in speeds)
        own = {"precision": precision, "lanes": lanes, "way": way, "seconds": seconds, "ratio": baseline / seconds}
        found.append(own | {"memory": speeds[0].memory})
    row = {"method": method, "network": network, "rounds": len(plains), "plain": baseline, "plain_bare": bare, "plain_rounds": list(plains)}
    return row | {"ours": found, "counts": dict(counts)}


def chosen(row: dict[str, Any], precision: str) -> dict[str, Any]:
    """What `--pack auto` would take."""
    mine = [each for each in row["ours"] if each["precision"] == precision]
    pick = fastest([Speed(each["lanes"], each["way"], *[each["seconds"]] * 3, 0, each["memory"]) for each in mine])
    return next(each for each in mine if pick and (each["lanes"], each["way"]) == (pick.lanes, pick.way))


def markdown(result: dict[str, Any]) -> str:
    """The choice of each pair beside one lane alone and the plain loop."""
    top = result["ceilings"]
    limits = ", ".join(f"{name} {value / 1e9:.0f} GFLOP/s" for name, value in top.items() if name != "bytes")
    lines = [f"# Training: jobs per hour against a plain loop\n\n`{result['command']}`, {where(result)}.\n"]
    lines.append(f"Ceilings measured: {limits}, copy {top['bytes'] / 1e9:.0f} GB/s.\n")
    lines.append(f"| {' | '.join(COLUMNS)} |\n|{'---|' * 3}---:|---:|---:|---|{'---:|' * 6}")
    for row in result["rows"]:
        for precision in row["counts"]:
            one = min(
                (each for each in row["ours"] if each["precision"] == precision and each["lanes"] == 1), key=lambda each: each["seconds"]
            )
            best = chosen(row, precision)
            flops, traffic = row["counts"][precision]
            memory = f"{best['memory'] / 2**30:.1f} GiB" if best["memory"] else "–"
            cells = [row["method"], row["network"], precision, f"{row['plain']:.2f}", f"{one['seconds']:.3f}", f"{one['ratio']:.1f}"]
            cells += [f"{best['lanes']} {best['way']}", f"{best['seconds']:.3f}", f"**{best['ratio']:.1f}**"]
            cells += [f"{3600 / (200 * best['seconds']):.2f}", memory]
            cells += [
                f"{100 * part:.0f} %"
                for part in (flops / best["seconds"] / top.get(precision, top["fp32"]), traffic / best["seconds"] / top["bytes"])
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_marks(result), *_friendliness(result)]) + "\n"


def _marks(result: dict[str, Any]) -> Iterator[str]:
    """The plain loop beside what the published scripts are known to take on two CPU cores: slower by a fifth, it would not count."""
    if result["machine"]["cores"] != 2 or "cuda" in result["versions"]:
        return
    yield "Epochs of the plain loop with nothing evaluated, and what the published scripts take on two CPU cores:\n"
    for row in result["rows"]:
        if mark := MARKS.get((row["method"], row["network"])):
            yield f"- {row['network']}, {row['method']}: {row['plain_bare']:.2f} s; published {mark} s"
    yield ""


def _friendliness(result: dict[str, Any]) -> Iterator[str]:
    """What neural friendly training costs beside classic training, where both were measured."""
    rows = {(row["method"], row["network"]): row for row in result["rows"]}
    pairs = [(rows["ct", network], row) for (method, network), row in rows.items() if method == "nft" and ("ct", network) in rows]
    if pairs:
        yield "A job of NFT takes so many times a job of CT (best packs; the plain loop's in brackets):\n"
    for ct, nft in pairs:
        for precision in nft["counts"]:
            ours = chosen(nft, precision)["seconds"] / chosen(ct, precision)["seconds"]
            yield f"- {nft['network']}, {precision}: {ours:.1f} ({nft['plain'] / ct['plain']:.1f})"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one round, packs up to 32, no ResNet18 unless named: under two minutes on two cores"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", help="in this order; all if none is named")
    parser.add_argument("--methods", default="ct,nft")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--sizes", default="1,2,4,8,16,32,64,128")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--out", type=Path, help="JSON file to write; the table goes beside it as .md")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    usual = [network for network in plain.NETWORKS if network != "resnet18" or not options.quick]
    networks = options.networks.split(",") if options.networks else usual
    sizes = [size for size in map(int, options.sizes.split(",")) if not options.quick or size <= 32]
    result: dict[str, Any] = {"command": command("train"), **about(options.device)}
    result |= {"ceilings": ceilings(options.device), "rows": []}
    name = f"train-{'cuda' if options.device.startswith('cuda') else 'cpu'}{'-quick' if options.quick else ''}.json"
    path = options.out or RESULTS / name
    precisions, methods = options.precisions.split(","), options.methods.split(",")
    for method, network in [pair for name in networks for pair in PAIRS if pair[1] == name and pair[0] in methods]:
        finished = result["rows"]
        for precision, row in compare(method, network, precisions, sizes, rounds, options.device):
            result["rows"] = [*finished, row]
            keep(result, markdown(result), path)  # a time limit leaves what was measured
            best = chosen(row, precision)
            what = f"ours {best['seconds']:.3f} s, {best['lanes']} {best['way']}, {best['ratio']:.1f} ×"
            print(f"{method} {network} {precision}: plain {row['plain']:.2f} s an epoch, {what}", file=sys.stderr, flush=True)
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()
