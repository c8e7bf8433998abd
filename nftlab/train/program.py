"""What all lanes of a pack share, and the functions of one lane and one batch that are mapped over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from torch import Tensor

from nftlab.data.task import Task
from nftlab.errors import ConfigError
from nftlab.hypers import Hypers
from nftlab.methods import METHODS, Method
from nftlab.methods.base import Numbers, Plan, bounds, cross_entropies, cross_entropy, winners
from nftlab.train.arithmetic import PRECISIONS, Precision
from nftlab.train.net import BoundNet, Net, Tensors
from nftlab.train.networks import NETWORKS
from nftlab.train.optim import OPTIMISERS, Optimiser
from nftlab.train.simplifiers import SIMPLIFIERS
from nftlab.train.standard import Standard

CLASSIFIER = "classifier"

Trees = dict[str, Tensors]  # network → name → tensor
# (objective, new buffers, means over the batch to log, the examples' new notes)
Step = tuple[Tensor, Trees, dict[str, Tensor], Tensors]


@dataclass(frozen=True)
class Program:
    """Networks, method, data and batches of a pack; of `hypers` the static fields count."""

    task: Task
    hypers: Hypers
    method: Method
    nets: dict[str, Net]
    optimisers: dict[str, str]  # of each network: a key of optim.OPTIMISERS
    edges: list[tuple[int, int]]  # of the batches of a pass
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        """Of everything outside the networks' layers."""
        return self.precision.state

    def optimiser(self, name: str) -> type[Optimiser]:
        """What moves a network."""
        return OPTIMISERS[self.optimisers[name]]

    def plan(self, h: Hypers, epoch: int) -> Plan:
        """What happens in an epoch (1-based) of a trial. Raises ConfigError where a pass has not one step for each of its batches."""
        plan = self.method.plan(h, epoch, len(self.edges))
        for each in plan.passes:
            batches = len(bounds(each.kept, h.batch_size)) if each.kept else len(self.edges)
            for what, entries in (("steps (how)", each.how), *((f"numbers {name!r}", found) for name, found in each.numbers.items())):
                if len(entries) != batches:
                    which = f"the pass that trains {each.trains!r} in epoch {epoch}"
                    raise ConfigError(f"{h.algorithm} plans {len(entries)} {what} for {which}, which has {batches} batches")
        return plan

    def learn(self, how: int) -> Callable[..., Step]:
        """The classifier's step on one batch: cross-entropy of what the method shows."""

        def step(params: Trees, buffers: Trees, x: Tensor, y: Tensor, masks: tuple[Tensor, ...], numbers: Numbers, notes: Tensors) -> Step:
            nets = self._bind(params, buffers)
            if how:
                with torch.no_grad():  # what is shown is data
                    x, y = self.method.present(nets, x, y, how, numbers)
                masks = tuple(mask[: len(x)] for mask in masks)  # a method may show fewer examples
            logits = nets[CLASSIFIER](x, masks, train=True)
            loss = cross_entropy(logits, y)
            wrong = winners(logits.detach()).ne(y).mean(dtype=loss.dtype)
            if notes:
                with torch.no_grad():
                    notes = dict(self.method.observe(notes, cross_entropies(logits, y), numbers))
            return loss, _buffers(nets), {"train/loss": loss.detach(), "train/error": 100 * wrong}, notes

        return step

    def tutor(self, how: int) -> Callable[..., Step]:
        """Another network's step on one batch: the method's objective."""

        def step(params: Trees, buffers: Trees, x: Tensor, y: Tensor, masks: tuple[Tensor, ...], numbers: Numbers, notes: Tensors) -> Step:
            nets = self._bind(params, buffers)
            loss, means = self.method.tutor(nets, x, y, masks, how, numbers)
            return loss, _buffers(nets), {name: mean.detach() for name, mean in means.items()}, notes

        return step

    def score(self, params: Trees, buffers: Trees, x: Tensor, y: Tensor, notes: Tensors) -> Tensor:
        """The method's score of each example."""
        return self.method.score(self._bind(params, buffers), x, y, notes)

    def logits(self, params: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """The classifier in eval mode."""
        return self.nets[CLASSIFIER](params, buffers, x, train=False)[0]

    def _bind(self, params: Trees, buffers: Trees) -> dict[str, BoundNet]:
        return {name: BoundNet(self.nets[name], params[name], buffers[name]) for name in params}


def build(task: Task, h: Hypers) -> Program:
    """The program of trials with the static fields of `h`; raises ConfigError when networks and data do not fit."""
    for what, name, table, file in (
        ("algorithm", h.algorithm, METHODS, "METHODS (nftlab/methods/__init__.py)"),
        ("network", h.network, NETWORKS, "NETWORKS (nftlab/train/networks.py)"),
    ):
        if name not in table:  # sweep files are checked against nftlab/hypers.py alone
            raise ConfigError(f"{what} {name!r} cannot be trained here: it has no line in {file}", "write one, see docs/extending.md")
    outputs = max(10, task.classes) if h.outputs == "ten" else task.classes
    method = METHODS[h.algorithm](h, prod(task.shape), len(task.train))
    if h.augment != "none" and len(task.shape) != 3:
        raise ConfigError(f"{h.augment} needs images, the examples have shape {task.shape}", "use augment none")
    precision = PRECISIONS[h.precision]
    before = Standard(task.train, task.scale) if h.normalize == "channels" else None
    nets = {CLASSIFIER: Net(lambda: NETWORKS[h.network](task.shape, outputs), precision, before)}
    for name, network in method.networks(h).items():
        nets[name] = Net(partial(SIMPLIFIERS[network.kind], task.shape, outputs, h), precision)
    optimisers = {name: h.optimizer if name == CLASSIFIER else "adam" for name in nets}
    edges = bounds(len(task.train), h.batch_size)
    smallest = min((stop - start for start, stop in edges), default=0)
    if not smallest or (smallest == 1 and any(net.needs_pairs for net in nets.values())):
        raise ConfigError(f"batches of {smallest} examples cannot train {h.network}", "raise batch_size")
    return Program(task, h, method, nets, optimisers, edges, precision)


def _buffers(nets: dict[str, BoundNet]) -> Trees:
    return {name: net.buffers for name, net in nets.items()}
