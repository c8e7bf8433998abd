"""A pack: the trials that one process trains as one program, epoch by epoch."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from nftlab.data.task import Task
from nftlab.errors import ConfigError
from nftlab.hypers import static_of
from nftlab.methods.base import Plan
from nftlab.train import lane as lanes
from nftlab.train.checkpoint import Checkpoint
from nftlab.train.lane import Best, Lane, Member
from nftlab.train.loop import Group, Heart
from nftlab.train.program import CLASSIFIER, build


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
    on CUDA. Raises ConfigError when members do not go together or their networks do not fit the task.
    """

    def __init__(self, task: Task, members: Sequence[Member], *, device: str | torch.device = "cpu", deterministic: bool = False) -> None:
        _check(members)
        self._deterministic = deterministic
        self._program = build(task.to(device), members[0].hypers)
        self._lanes = {member.key: lanes.fresh(self._program, member) for member in members}

    @property
    def live(self) -> list[str]:
        """Keys of the lanes that have epochs left, in the order of the members."""
        return [key for key, lane in self._lanes.items() if not lane.finished]

    def restore(self, key: str, checkpoint: Checkpoint) -> None:
        """Continue a lane where its checkpoint was taken. Raises ConfigError for another trial's, DataError for a broken one."""
        self._lanes[key] = lanes.from_checkpoint(self._program, self._lane(key).member, checkpoint)

    def checkpoint(self, key: str) -> Checkpoint:
        """All that the lane is; training on does not change it."""
        return lanes.to_checkpoint(self._lane(key), self._program.nets)

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

        If it raises (out of memory, an interrupt), the lanes of the group that was training stand where they stood.
        """
        heart, results = Heart(progress), {}
        with _determinism(self._deterministic):
            for members, plans in self._groups():
                for result in self._train(members, plans, heart):
                    results[result.key] = result
        return [results[key] for key in self._lanes if key in results]

    def _groups(self) -> Iterator[tuple[list[Lane], list[Plan]]]:
        """Live lanes by the shape of their next epoch."""
        groups: dict[object, tuple[list[Lane], list[Plan]]] = {}
        for lane in [self._lanes[key] for key in self.live]:
            plan = self._program.method.plan(lane.member.hypers, lane.epoch + 1, len(self._program.edges))
            group = groups.setdefault(tuple(each.shape for each in plan.passes), ([], []))
            group[0].append(lane)
            group[1].append(plan)
        yield from groups.values()

    def _train(self, group: list[Lane], plans: list[Plan], heart: Heart) -> list[EpochResult]:
        start = time.perf_counter()
        run = Group(self._program, group, plans, heart)
        means = run.train()
        values = [{**mean, **plan.values} for mean, plan in zip(means, plans, strict=True)]
        for each, (loss, error) in zip(values, run.evaluate(list(range(len(group))), self._program.task.valid), strict=True):
            each |= {"val/loss": loss, "val/error": error}
        sane = [math.isfinite(each["train/loss"]) for each in values]
        improved = [
            ok and plan.eligible and (lane.best is None or each["val/error"] < lane.best.val_error)
            for ok, plan, lane, each in zip(sane, plans, group, values, strict=True)
        ]
        self._test(run, values, improved)
        run.commit()
        for lane, each, better, ok in zip(group, values, improved, sane, strict=True):
            lane.diverged = not ok
            if better:
                lane.best = _selected(lane, each)
        seconds = (time.perf_counter() - start) / len(group)
        return [_result(lane, each, better, seconds) for lane, each, better in zip(group, values, improved, strict=True)]

    def _test(self, run: Group, values: list[dict[str, float]], improved: list[bool]) -> None:
        """Add the test set's values: of every lane if its curve is asked for, else where validation improved."""
        curve = self._program.method.h.test_curve
        chosen = [k for k, better in enumerate(improved) if better or curve]
        if chosen:
            for k, (loss, error) in zip(chosen, run.evaluate(chosen, self._program.task.test), strict=True):
                values[k] |= {"test/loss": loss, "test/error": error}

    def _lane(self, key: str) -> Lane:
        if key not in self._lanes:
            raise ConfigError(f"no lane {key!r} in this pack of {', '.join(self._lanes)}")
        return self._lanes[key]


def _check(members: Sequence[Member]) -> None:
    """Refuse members that cannot train as one program."""
    if not members:
        raise ConfigError("a pack needs at least one member")
    if len({member.key for member in members}) < len(members):
        raise ConfigError("two members of a pack have the same key")
    first = static_of(members[0].hypers)
    for member in members[1:]:
        other = static_of(member.hypers)
        for name in first.keys() | other.keys():
            if first.get(name) != other.get(name):
                what = f"{name} is {other.get(name)!r} for {member.key} but {first.get(name)!r} for {members[0].key}"
                raise ConfigError(f"trials that train as one program must share {name}: {what}")


def _selected(lane: Lane, values: dict[str, float]) -> Best:
    state = lane.nets[CLASSIFIER]
    buffers = {name: buffer.clone() for name, buffer in state.buffers.items()}
    return Best(lane.epoch, values["val/error"], values["test/error"], state.weights.clone(), buffers)


def _result(lane: Lane, values: dict[str, float], better: bool, seconds: float) -> EpochResult:
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return EpochResult(lane.member.key, lane.epoch, finite, better, lane.diverged, lane.finished, seconds)


@contextlib.contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    if not wanted or torch.are_deterministic_algorithms_enabled():  # torch's switch imports its compiler: seconds
        yield
        return
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
