"""A pack: the trials that one process trains as one program, epoch by epoch."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from nftlab.configuration import static_of
from nftlab.data.task import Task
from nftlab.errors import ConfigError
from nftlab.methods.base import Plan
from nftlab.train import lane as lanes
from nftlab.train.arithmetic import arithmetic
from nftlab.train.checkpoint import Checkpoint
from nftlab.train.lane import Best, Lane, Member
from nftlab.train.loop import Group, Heart, interleave
from nftlab.train.program import CLASSIFIER, build
from nftlab.train.tape import Tape

# How lanes train: stacked as one program, or each in steps of its own. On a GPU also recorded as CUDA graphs, those of
# lanes apart on a stream each; on a CPU also on a single thread, for tensors too small to share.
MAPPED, APART, GRAPH, SINGLE = "mapped", "apart", "-graph", "-single"


def ways(device: torch.device) -> tuple[str, ...]:
    """The ways there are on a device."""
    special = GRAPH if device.type == "cuda" else SINGLE
    return MAPPED, APART, MAPPED + special, APART + special


@contextlib.contextmanager
def threads(way: str) -> Iterator[None]:
    """The process's threads, or one of them, while lanes train."""
    before = torch.get_num_threads()
    if not way.endswith(SINGLE) or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class EpochResult:
    """One epoch (1-based) of one lane.

    `values`: "train/loss" and "train/error" of the training forward passes on what the classifier was shown (with
    dropout, before each step), "val/…", "test/…" where evaluated, and the method's own. Errors are percent; what is not
    finite is left out. `best`: the epoch is now the selected one. `seconds`: the lane's share of the time that its
    group took, so that shares add up to wall time.
    """

    key: str
    epoch: int
    values: dict[str, float]
    best: bool
    diverged: bool
    finished: bool
    seconds: float


@dataclass(frozen=True)
class Summary:
    """What a lane came to so far: the selected epoch and its errors in percent, None before any epoch was eligible."""

    best_epoch: int | None
    val_error: float | None
    test_error: float | None
    diverged: bool


class Pack:
    """Lanes that share their static hyper-parameters; they may differ in all others, in seed, and in epoch.

    `device` is any torch device; `deterministic` asks torch for deterministic algorithms during training, which matters
    on CUDA; `way` is one of `ways(device)`. Raises ConfigError when members do not go together or their networks do not
    fit the task.
    """

    def __init__(
        self,
        task: Task,
        members: Sequence[Member],
        *,
        device: str | torch.device = "cpu",
        deterministic: bool = False,
        way: str = MAPPED,
    ) -> None:
        if not members:
            raise ConfigError("a pack needs at least one member")
        self._device = torch.device(device)
        if way not in ways(self._device):
            raise ConfigError(f"way {way!r} is not one of {', '.join(ways(self._device))}")
        self._deterministic, self._way = deterministic, way
        self._program = build(task.to(device), members[0].hypers)
        self._tapes: list[Tape] = []
        self._lanes: dict[str, Lane] = {}
        self.add(members)

    @property
    def live(self) -> list[str]:
        """Keys of the lanes that have epochs left, in the order of the members."""
        return [key for key, lane in self._lanes.items() if not lane.finished]

    def add(self, members: Sequence[Member]) -> None:
        """New lanes before their first epoch. Raises ConfigError, and adds none, when one does not go with the others."""
        static = static_of(self._program.hypers)
        keys = list(self._lanes)
        for member in members:
            if member.key in keys:
                raise ConfigError(f"two members of a pack have the key {member.key}")
            keys.append(member.key)
            _check(member, static)
        self._lanes |= {member.key: lanes.fresh(self._program, member) for member in members}

    def remove(self, key: str) -> None:
        """Forget a lane; between epochs."""
        del self._lanes[self._lane(key).member.key]

    def restore(self, key: str, checkpoint: Checkpoint) -> None:
        """Continue a lane where its checkpoint was taken. Raises ConfigError for another trial's, DataError for a broken one."""
        self._lanes[key] = lanes.from_checkpoint(self._program, self._lane(key).member, checkpoint)

    def checkpoint(self, key: str) -> Checkpoint:
        """All that the lane is; training on does not change it."""
        return lanes.to_checkpoint(self._program, self._lane(key))

    def best(self, key: str) -> Checkpoint | None:
        """The classifier of the selected epoch under its state_dict's names; None before any epoch was eligible."""
        return lanes.best_checkpoint(self._lane(key), self._program.nets)

    def summary(self, key: str) -> Summary:
        """The lane's selected epoch and errors."""
        lane = self._lane(key)
        if lane.best is None:
            return Summary(None, None, None, lane.diverged)
        return Summary(lane.best.epoch, lane.best.val_error, lane.best.test_error, lane.diverged)

    def train_epoch(self, progress: Callable[[], None] = lambda: None) -> list[EpochResult]:
        """One epoch of every live lane; `progress` is called about twice a second between batches.

        If it raises (out of memory, an interrupt), the lanes that were training stand where they stood.
        """
        heart, results = Heart(progress), {}
        with threads(self._way), arithmetic(self._device, self._program.precision, deterministic=self._deterministic):
            grouped = list(self._groups())
            tapes = iter(self._taped(sum(map(len, grouped))))
            for together in grouped:
                for result in self._train(together, [next(tapes) for _ in together], heart):
                    results[result.key] = result
        return [results[key] for key in self._lanes if key in results]

    def _groups(self) -> Iterator[list[tuple[list[Lane], list[Plan]]]]:
        """Live lanes by the shape of their next epoch or each by itself; what comes in one list trains at the same time."""
        groups: dict[object, tuple[list[Lane], list[Plan]]] = {}
        for lane in [self._lanes[key] for key in self.live]:
            plan = self._program.plan(lane.member.hypers, lane.epoch + 1)
            shape = tuple(each.shape for each in plan.passes) if self._way.startswith(MAPPED) else lane.member.key
            group = groups.setdefault(shape, ([], []))
            group[0].append(lane)
            group[1].append(plan)
        if groups and self._way == APART + GRAPH:
            yield list(groups.values())
        else:
            yield from ([group] for group in groups.values())

    def _taped(self, groups: int) -> Sequence[Tape | None]:
        """What records the steps of so many groups, which stays with them."""
        if not self._way.endswith(GRAPH):
            return [None] * groups
        del self._tapes[groups:]
        self._tapes += [Tape(self._device) for _ in range(groups - len(self._tapes))]
        return self._tapes

    def _train(self, together: list[tuple[list[Lane], list[Plan]]], tapes: Sequence[Tape | None], heart: Heart) -> Iterator[EpochResult]:
        """An epoch of some groups at the same time."""
        start = time.perf_counter()
        runs = [Group(self._program, group, plans, tape) for (group, plans), tape in zip(together, tapes, strict=True)]
        interleave(runs, heart)
        values = [self._judge(run, group, plans, heart) for run, (group, plans) in zip(runs, together, strict=True)]
        for run in runs:
            run.commit()
        seconds = (time.perf_counter() - start) / sum(len(group) for group, _ in together)
        for (group, _), judged in zip(together, values, strict=True):
            for lane, (each, better) in zip(group, judged, strict=True):
                lane.diverged = not _finite(each)
                if better:
                    lane.best = _selected(lane, each)
                yield _result(lane, each, better, seconds)

    def _judge(self, run: Group, group: list[Lane], plans: list[Plan], heart: Heart) -> list[tuple[dict[str, float], bool]]:
        """Each lane's values of the epoch, and whether it is the best so far; the test set only where that matters."""
        task, curve = self._program.task, self._program.hypers.test_curve
        values = [{**mean, **plan.values} for mean, plan in zip(run.means(), plans, strict=True)]
        for each, (loss, error) in zip(values, run.evaluate(list(range(len(group))), task.valid, heart), strict=True):
            each |= {"val/loss": loss, "val/error": error}
        improved = [
            _finite(each) and plan.eligible and (lane.best is None or each["val/error"] < lane.best.val_error)
            for plan, lane, each in zip(plans, group, values, strict=True)
        ]
        if chosen := [k for k, better in enumerate(improved) if better or curve]:
            for k, (loss, error) in zip(chosen, run.evaluate(chosen, task.test, heart), strict=True):
                values[k] |= {"test/loss": loss, "test/error": error}
        return list(zip(values, improved, strict=True))

    def _lane(self, key: str) -> Lane:
        if key not in self._lanes:
            raise ConfigError(f"no lane {key!r} in this pack of {', '.join(self._lanes)}")
        return self._lanes[key]


def _check(member: Member, static: Mapping[str, object]) -> None:
    """Refuse a member that cannot train with the others."""
    own = static_of(member.hypers)
    for name in static.keys() | own.keys():
        if static.get(name) != own.get(name):
            what = f"{name} is {own.get(name)!r} for {member.key} but {static.get(name)!r} for the others"
            raise ConfigError(f"trials that train as one program must share {name}: {what}")


def _finite(values: Mapping[str, float]) -> bool:
    """Whether a lane has learned from numbers: the training loss is from before each step, so the last one shows in validation alone."""
    return math.isfinite(values["train/loss"]) and math.isfinite(values["val/loss"])


def _selected(lane: Lane, values: dict[str, float]) -> Best:
    state = lane.nets[CLASSIFIER]
    buffers = {name: buffer.clone() for name, buffer in state.buffers.items()}
    return Best(lane.epoch, values["val/error"], values["test/error"], state.weights.clone(), buffers)


def _result(lane: Lane, values: dict[str, float], better: bool, seconds: float) -> EpochResult:
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return EpochResult(lane.member.key, lane.epoch, finite, better, lane.diverged, lane.finished, seconds)
