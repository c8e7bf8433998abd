"""How fast a configuration trains on this device, in packs of which size and in which way: a short trial of each.

Lanes that nobody asked for take a few steps of every kind that an epoch has; the epoch is added up from them.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from nftlab.data.task import Split, Task
from nftlab.hypers import Hypers
from nftlab.methods.base import Pass, Plan
from nftlab.speeds import CLOSE, Speed
from nftlab.train.arithmetic import arithmetic
from nftlab.train.feed import EVAL_BATCH_CUDA
from nftlab.train.lane import Lane, Member, fresh
from nftlab.train.loop import Group, Heart
from nftlab.train.memory import ran_out
from nftlab.train.pack import APART, GRAPH, MAPPED, SINGLE, threads
from nftlab.train.program import Program, build
from nftlab.train.tape import Tape
from nftlab.train.window import STEPS

SHARE, LEAST, MOST = 0.02, 0.5, 20.0  # time to spend: of the work that waits, in seconds at least and at most
SMALL = 0.02  # seconds of a step below which one thread may do as well as many
SHARED = 1.2  # many threads must be so many times as fast as one: in training the supervisor and the tracker want the cores too
TESTED = 0.2  # epochs in which validation improves, so that the test set is evaluated too; a guess
_FULL = 0.8  # of the device's memory
_FIRST, _SHORT, _REPEATS = 2, 0.05, 32  # steps not timed (the first, and recording); seconds and steps timed, whichever ends first
_EVALUATED, _EVALUATIONS = 512, 6  # examples, at least; times, at most


def measure(
    task: Task,
    hypers: Hypers,
    *,
    device: str | torch.device,
    sizes: Sequence[int],
    work: float,
    progress: Callable[[], None] = lambda: None,
) -> list[Speed]:
    """Speeds at each of the ascending `sizes` in every way worth trying, until larger is no better or would not fit.

    Quick steps end it only when two sizes in a row were no better: the first pack of two gains little, and others use the cores too.

    `work` is the number of lane-epochs that wait: no size is begun after a fiftieth of what they would take (half a second at
    least, 20 at most), counted from the end of the first, which also warms the device up. What says that memory ran out at
    the first is raised.
    """
    device, heart = torch.device(device), Heart(progress)
    program = build(task.to(device), hypers)
    found: list[Speed] = []
    losses = 0  # sizes in a row that were no better
    warm = math.inf  # since when, on the performance clock
    with arithmetic(device, program.precision, deterministic=False):
        for lanes in sizes:
            try:
                for way in _tried(device, lanes):
                    found.append(_speed(program, lanes, way, heart))
                quick = device.type == "cpu" and found[-1].seconds * lanes < SMALL * len(program.edges)
                if quick and torch.get_num_threads() > 1:
                    single = _speed(program, lanes, found[-1].way + SINGLE, heart)
                    if single.seconds < SHARED * found[-1].seconds:
                        found.pop()
                    found.append(single)
            except RuntimeError as error:
                if not ran_out(error):
                    raise
                _settle(program)  # before what steps under way write to is freed
                if not found:
                    raise
                break
            least = min(speed.seconds for speed in found)
            losses = losses + 1 if min(speed.seconds for speed in found if speed.lanes == lanes) > CLOSE * least else 0
            warm, patience = min(warm, time.perf_counter()), min(MOST, max(LEAST, SHARE * work * least))
            if losses > (1 if quick else 0) or time.perf_counter() - warm > patience or _crowded(device, found[-1].memory):
                break
    return found


def _tried(device: torch.device, lanes: int) -> list[str]:
    """One lane cannot be mapped; on a CPU several apart cost what one does; on a GPU what is recorded is faster by far."""
    if device.type == "cpu":
        return [MAPPED if lanes > 1 else APART]
    return [APART + GRAPH, MAPPED + GRAPH] if lanes > 1 else [APART + GRAPH]


def _speed(program: Program, lanes: int, way: str, heart: Heart) -> Speed:
    device = program.task.train.y.device
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what earlier trials left
    each = [fresh(program, Member(f"measure-{k}", k, program.hypers)) for k in range(lanes)]
    groups = [[lane] for lane in each] if way.startswith(APART) else [each]
    tapes = [Tape(device) if way.endswith(GRAPH) else None for _ in groups]
    with threads(way):
        seconds = sum(count * _step(program, groups, tapes, kind, heart) for kind, count in kinds(program))
        memory = _kept(device)
        seconds += _evaluation(program, groups, heart)
    share = seconds / lanes
    return Speed(lanes, way, share, share, share, 0, memory)


def _kept(device: torch.device) -> int:
    """Bytes that lanes and their recordings keep, which grow with the lanes; evaluation takes as much for few as for many.

    Not what is allocated at the peak: every recording has memory of its own, which torch counts as free between two steps.
    """
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)


def kinds(program: Program) -> list[tuple[Plan, float]]:
    """Epochs of one pass of equal steps, and how many such steps an epoch has on average over the whole of training.

    What `how` counts, iterations or examples, costs in proportion: a step of the mean stands for all above 0.
    """
    h, steps = program.hypers, len(program.edges)
    counts: Counter[tuple[object, ...]] = Counter()
    sums: Counter[tuple[object, ...]] = Counter()
    passes: dict[tuple[object, ...], Pass] = {}
    for epoch in range(1, h.epochs + 1):
        for each in program.plan(h, epoch).passes:
            for how, times in Counter(each.how).items():
                kind = each.trains, how > 0, tuple(each.numbers), each.dropout
                counts[kind] += times
                sums[kind] += how * times
                passes.setdefault(kind, each)

    def typical(kind: tuple[object, ...]) -> Pass:
        """An epoch of it, as long as one over all examples."""
        numbers = {name: (values[0],) * steps for name, values in passes[kind].numbers.items()}
        return replace(passes[kind], how=(round(sums[kind] / counts[kind]),) * steps, numbers=numbers, kept=None)

    return [(Plan((typical(kind),)), count / h.epochs) for kind, count in counts.items()]


def _step(program: Program, groups: list[list[Lane]], tapes: list[Tape | None], plan: Plan, heart: Heart) -> float:
    """Seconds of one step of all groups; on a GPU with its part in how an epoch begins, but for what is recorded once."""
    epoch = len(program.edges)
    # on a GPU until batches made ahead (train/window.py) were recorded, too
    first = min(_FIRST if program.task.train.y.is_cpu else STEPS + _FIRST, epoch - 1)
    most = min(_REPEATS, epoch - first)
    go = _epoch(program, groups, tapes, plan, heart)
    go(first)
    if _settle(program):  # a GPU is asked once: waiting for it costs more than a step
        del go  # its lanes' numbers go, too
        start = time.perf_counter()
        go = _epoch(program, groups, tapes, plan, heart)  # the one before chose kernels and recorded
        go(first)
        _settle(program)
        begun = time.perf_counter()
        go(most)
        _settle(program)
        each = (time.perf_counter() - begun) / most
        return (begun - start + each * (epoch - first)) / epoch
    times: list[float] = []
    while len(times) < most and sum(times) < _SHORT:
        start = time.perf_counter()
        go(1)
        times.append(time.perf_counter() - start)
    return statistics.median(times)  # others may use the processor too


def _epoch(program: Program, groups: list[list[Lane]], tapes: list[Tape | None], plan: Plan, heart: Heart) -> Callable[[int], None]:
    """An epoch of all groups that begins: a function that takes the next so many steps of it."""
    runs = [Group(program, group, [plan] * len(group), tape) for group, tape in zip(groups, tapes, strict=True)]
    steps = [run.train() for run in runs]
    for run in runs:
        run.begin()

    def go(rounds: int) -> None:
        for _ in range(rounds):
            for run, each in zip(runs, steps, strict=True):
                with run.stream():
                    next(each)
            heart.tick()

    return go


def _evaluation(program: Program, groups: list[list[Lane]], heart: Heart) -> float:
    """Seconds of an epoch's evaluations."""
    task, curve = program.task, program.hypers.test_curve
    # on a GPU as many at once as in training: a launch costs the same for few
    count = max(_EVALUATED, EVAL_BATCH_CUDA // len(groups[0])) if task.test.y.is_cuda else _EVALUATED
    some = Split(task.test.x[:count], task.test.y[:count])
    runs = [Group(program, group, []) for group in groups]
    times: list[float] = []
    while len(times) < 2 or (len(times) < _EVALUATIONS and sum(times) < _SHORT and not task.test.y.is_cuda):
        start = time.perf_counter()
        for run, group in zip(runs, groups, strict=True):
            run.evaluate(list(range(len(group))), some, heart)
        _settle(program)
        times.append(time.perf_counter() - start)
    each = statistics.median(times[1:]) / len(some)  # the first one chooses kernels
    return each * (len(task.valid) + (1.0 if curve else TESTED) * len(task.test))


def _settle(program: Program) -> bool:
    """Waits for the device; whether there is anything to wait for."""
    cuda = program.task.train.y.is_cuda
    if cuda:
        torch.cuda.synchronize(program.task.train.y.device)
    return cuda


def _crowded(device: torch.device, memory: int) -> bool:
    """Whether a pack twice as large would not fit: measured on what the device has free, other processes included."""
    if device.type != "cuda":
        return False
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    return 2 * memory > _FULL * free
