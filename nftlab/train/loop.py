"""The training loop: one epoch of the lanes whose plans have the same shape, as one program.

Lanes are stacked along a leading axis and each step is mapped over it; a single lane has no such axis and runs the same
functions unmapped. Gradients are taken outside the map, of the sum of the lanes' losses: lanes share nothing, so each
receives its own gradient, and the backward pass is made of plain batched kernels (for convolutions six times faster
on a CPU than vmap over grad).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from nftlab.data.task import Split
from nftlab.methods.base import Plan, winners
from nftlab.train.feed import in_chunks, seen
from nftlab.train.lane import Lane
from nftlab.train.net import Tensors, channels_last, stack, unstack
from nftlab.train.program import CLASSIFIER, Program
from nftlab.train.steps import Runs, Steps
from nftlab.train.tape import Tape

_PROGRESS_EVERY = 0.5  # seconds between two signs of life
_OVER = object()


class Heart:
    """Calls `beat` at most every half second however often it is told that work goes on."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._last = beat, time.monotonic()

    def tick(self) -> None:
        """Say that a batch was issued."""
        now = time.monotonic()
        if now - self._last >= _PROGRESS_EVERY:
            self._last = now
            self._beat()


class Group:
    """Lanes in one epoch. They change only at `commit`: an epoch that fails leaves them as they were."""

    def __init__(self, program: Program, lanes: Sequence[Lane], plans: Sequence[Plan], tape: Tape | None = None) -> None:
        self._program, self._lanes, self._plans, self._tape = program, lanes, plans, tape
        states = {name: stack([lane.nets[name] for lane in lanes]) for name in program.nets}
        self._states = tape.holding(states) if tape else states
        self._totals: dict[str, tuple[Tensor, int]] = {}  # sums over so many examples

    def train(self, tick: Callable[[], None] = lambda: None) -> Iterator[None]:
        """All passes of the epoch, step by step; `tick` is called by what takes long between two steps."""
        for passes in zip(*(plan.passes for plan in self._plans), strict=True):
            steps = Steps(self._program, self._states, self._lanes, passes, tick, ahead=self._tape is not None)
            runs = steps.runs()
            if self._tape:
                steps = self._tape.like_before(steps)
            yield from self._tape.play(steps, runs) if self._tape else _played(steps, runs)
            steps.end()
            self._totals |= {name: (total, steps.examples) for name, total in steps.totals.items()}

    def stream(self) -> contextlib.AbstractContextManager[object]:
        """Where the steps are to be issued."""
        return torch.cuda.stream(self._tape.stream) if self._tape else contextlib.nullcontext()

    def begin(self) -> None:
        """What was issued so far is done before the steps begin."""
        if self._tape:
            self._tape.stream.wait_stream(torch.cuda.current_stream(self._tape.stream.device))

    def end(self) -> None:
        """The steps are done before what is issued from now on."""
        if self._tape:
            torch.cuda.current_stream(self._tape.stream.device).wait_stream(self._tape.stream)

    def means(self) -> list[dict[str, float]]:
        """Each lane's means over the examples, by name. Waits for the device."""
        values = {name: [value / n for value in _host(total)] for name, (total, n) in self._totals.items()}
        return [{name: each[k] for name, each in values.items()} for k in range(len(self._lanes))]

    def evaluate(self, rows: list[int], split: Split, heart: Heart) -> list[tuple[float, float]]:
        """`evaluate` of the classifiers of some of the lanes as they stand in this epoch."""
        state = self._states[CLASSIFIER]
        weights, buffers = state.weights, state.buffers
        if len(rows) < len(self._lanes):
            picked = rows if len(rows) > 1 else rows[0]
            weights, buffers = weights[picked], {name: buffer[picked] for name, buffer in buffers.items()}
        return evaluate(self._program, weights, buffers, split, heart)

    def commit(self) -> None:
        """Give the lanes their new numbers."""
        # copies of what a tape keeps: `stack` of one state is its copy
        states = {name: unstack(stack([state]) if self._tape else state) for name, state in self._states.items()}
        for k, lane in enumerate(self._lanes):
            lane.nets = {name: each[k] for name, each in states.items()}
            lane.epoch += 1


def interleave(runs: Sequence[Group], heart: Heart) -> None:
    """Train groups, step about: recorded ones each on its stream, at the same time."""
    going = {run: run.train(heart.tick) for run in runs}
    for run in runs:
        run.begin()
    try:
        while going:
            for run, steps in list(going.items()):
                with run.stream():
                    if next(steps, _OVER) is _OVER:
                        del going[run]
                heart.tick()
    finally:  # also after an error: what the steps still write to is about to be freed, for others to use
        for run in runs:
            run.end()


def _played(steps: Steps, runs: Runs) -> Iterator[None]:
    for (how, size), count in runs:
        step = steps.step(how, size)
        for _ in range(count):
            step()
            yield


@torch.no_grad()
def evaluate(program: Program, weights: Tensor, buffers: Tensors, split: Split, heart: Heart) -> list[tuple[float, float]]:
    """(mean cross-entropy, error in percent) on a split, in eval mode on the data as they are, of each classifier in (P,) or (K, P)."""
    params = program.nets[CLASSIFIER].layers(weights)
    stacked = weights.dim() > 1
    logits = torch.func.vmap(program.logits, in_dims=(0, 0, None)) if stacked else program.logits
    loss = torch.zeros(weights.shape[:-1], dtype=program.dtype, device=weights.device)
    wrong = torch.zeros_like(loss, dtype=torch.int64)

    def some(rows: slice) -> tuple[Tensor, Tensor]:
        x = seen(split.x[rows], program.task.scale, program.dtype)
        out = logits(params, buffers, x if stacked else channels_last(x))
        labels = split.y[rows].expand(out.shape[:-1])
        return out.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).sum((-2, -1)), winners(out).ne(labels).sum(-1)

    for likelihood, missed in in_chunks(some, len(split), weights):
        loss -= likelihood
        wrong += missed
        heart.tick()
    n = len(split)
    return [(total / n, 100 * count / n) for total, count in zip(_host(loss), _host(wrong), strict=True)]


def _host(tensor: Tensor) -> list[float]:
    return tensor.reshape(-1).tolist()
