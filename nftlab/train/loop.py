"""The training loop: one epoch of the lanes whose plans have the same shape, as one program.

Lanes are stacked along a leading axis and each step is mapped over it; a single lane has no such axis and runs the same
functions unmapped. Gradients are taken outside the map, of the sum of the lanes' losses: lanes share nothing, so each
receives its own gradient, and the backward pass is made of plain batched kernels (for convolutions six times faster
on a CPU than vmap over grad).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nftlab.data.task import Split
from nftlab.methods.base import Pass, Plan
from nftlab.train.feed import Feed, seen
from nftlab.train.lane import Lane
from nftlab.train.net import Tensors, stack, unstack
from nftlab.train.optim import Adam
from nftlab.train.program import CLASSIFIER, Program, Trees

EVAL_BATCH = 128  # activations that stay in memory the allocator keeps; larger ones are no faster on a CPU
_PROGRESS_EVERY = 0.5  # seconds between two signs of life

Lanes = list[Lane]


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

    def __init__(self, program: Program, lanes: Lanes, plans: Sequence[Plan], heart: Heart) -> None:
        self._program, self._lanes, self._plans, self._heart = program, lanes, plans, heart
        self._states = {name: stack([lane.nets[name] for lane in lanes]) for name in program.nets}
        self._totals: dict[str, Tensor] = {}

    def train(self) -> list[dict[str, float]]:
        """All passes of the epoch; returns each lane's means over the examples, by name."""
        for passes in zip(*(plan.passes for plan in self._plans), strict=True):
            self._run(passes)
        n = len(self._program.task.train)
        values = {name: _host(total) for name, total in self._totals.items()}
        return [{name: each[k] / n for name, each in values.items()} for k in range(len(self._lanes))]

    def evaluate(self, rows: list[int], split: Split) -> list[tuple[float, float]]:
        """`evaluate` of the classifiers of some of the lanes as they stand in this epoch."""
        state = self._states[CLASSIFIER]
        weights, buffers = state.weights, state.buffers
        if len(rows) < len(self._lanes):
            picked = rows if len(rows) > 1 else rows[0]
            weights, buffers = weights[picked], {name: buffer[picked] for name, buffer in buffers.items()}
        return evaluate(self._program, weights, buffers, split, self._heart)

    def commit(self) -> None:
        """Give the lanes their new numbers."""
        states = {name: unstack(state) for name, state in self._states.items()}
        for k, lane in enumerate(self._lanes):
            lane.nets = {name: each[k] for name, each in states.items()}
            lane.epoch += 1

    def _run(self, passes: Sequence[Pass]) -> None:
        """One pass of every lane; `passes` differ in their numbers only."""
        program, first = self._program, passes[0]
        params, leaves = self._params(first.trains)
        optimiser = self._optimiser(first.trains)
        numbers = self._numbers(passes)
        sites = program.nets[CLASSIFIER].dropout if first.dropout else ()
        seeds, epochs = [lane.member.seed for lane in self._lanes], [lane.epoch + 1 for lane in self._lanes]
        feed = Feed(program.task.train, seeds, epochs, first.stream, sites)
        steps = {how: self._step(first.trains, how) for how in set(first.how)}
        batches = feed.batches(program.edges, program.task.scale, program.dtype)
        buffers = {name: state.buffers for name, state in self._states.items()}
        totals: dict[str, Tensor] = {}
        for i, (x, y, masks) in enumerate(batches):
            names, step = steps[first.how[i]]
            loss, changed, means = step(_of(params, names), _of(buffers, names), x, y, masks, numbers[i])
            optimiser.step(torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True))
            buffers |= changed
            for name, mean in means.items():
                totals[name] = totals[name].add_(mean, alpha=y.shape[-1]) if name in totals else mean * y.shape[-1]
            self._heart.tick()
        for name, state in self._states.items():
            state.buffers = buffers[name]
        self._totals |= totals

    def _params(self, trains: str) -> tuple[Trees, list[Tensor]]:
        """Views of all weights by network and name; those of the network that moves want gradients and are listed too."""
        params = {name: self._program.nets[name].views(state.weights) for name, state in self._states.items()}
        params[trains] = {name: view.detach().requires_grad_() for name, view in params[trains].items()}
        return params, list(params[trains].values())

    def _step(self, trains: str, how: int) -> tuple[tuple[str, ...], Callable[..., Any]]:
        """The networks that a step needs, and the step mapped over the lanes."""
        if trains != CLASSIFIER:
            return tuple(self._states), self._mapped(self._program.tutor(how))
        return tuple(self._states) if how else (CLASSIFIER,), self._mapped(self._program.learn(how))

    def _mapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.func.vmap(function) if len(self._lanes) > 1 else function

    def _optimiser(self, trains: str) -> Adam:
        settings = []
        for lane in self._lanes:
            h = lane.member.hypers
            own = self._program.method.networks(h).get(trains)
            settings.append((own.lr, own.weight_decay) if own else (h.lr, h.weight_decay))
        lr, decay = zip(*settings, strict=True)
        return Adam(self._states[trains], list(lr), list(decay), len(self._program.edges))

    def _numbers(self, passes: Sequence[Pass]) -> list[dict[str, Tensor]]:
        """The plans' numbers, batch by batch: () for one lane, (K,) for several."""
        device, dtype, count = self._program.task.train.x.device, self._program.dtype, len(self._program.edges)
        table = {}
        for name in passes[0].numbers:
            lanes = torch.tensor([each.numbers[name] for each in passes], dtype=torch.float64).to(device, dtype)
            table[name] = lanes.T.unbind(0) if len(passes) > 1 else lanes[0].unbind(0)
        return [{name: rows[i] for name, rows in table.items()} for i in range(count)]


@torch.no_grad()
def evaluate(program: Program, weights: Tensor, buffers: Tensors, split: Split, heart: Heart) -> list[tuple[float, float]]:
    """(mean cross-entropy, error in percent) on a split, in eval mode on the data as they are, of each classifier in (P,) or (K, P)."""
    params = program.nets[CLASSIFIER].views(weights)
    logits = torch.func.vmap(program.logits, in_dims=(0, 0, None)) if weights.dim() > 1 else program.logits
    loss = torch.zeros(weights.shape[:-1], dtype=program.dtype, device=split.x.device)
    wrong = torch.zeros_like(loss, dtype=torch.int64)
    for start in range(0, len(split), EVAL_BATCH):
        rows = slice(start, start + EVAL_BATCH)
        out = logits(params, buffers, seen(split.x[rows], program.task.scale, program.dtype))
        labels = split.y[rows].expand(out.shape[:-1])
        loss -= out.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).sum((-2, -1))
        wrong += out.argmax(-1).ne(labels).sum(-1)
        heart.tick()
    n = len(split)
    return [(total / n, 100 * count / n) for total, count in zip(_host(loss), _host(wrong), strict=True)]


def _of(trees: Trees, names: tuple[str, ...]) -> Trees:
    return {name: trees[name] for name in names}


def _host(tensor: Tensor) -> list[float]:
    return tensor.reshape(-1).tolist()
