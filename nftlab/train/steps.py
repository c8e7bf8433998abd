"""One pass of the lanes of a group, step by step.

Whatever a step reads or writes lies in tensors that stay where they are, the number of the step too: a step takes
nothing from the host and gives nothing back, so it can be recorded once and replayed (train/graph.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from nftlab.methods.base import Pass, bounds
from nftlab.train.feed import Batch, Feed, orders
from nftlab.train.lane import Lane
from nftlab.train.net import NetState, Tensors
from nftlab.train.optim import Setting
from nftlab.train.program import CLASSIFIER, Program, Trees
from nftlab.train.ranking import lowest
from nftlab.train.rates import rate
from nftlab.train.window import Window, steps_ahead

States = dict[str, NetState]
Runs = list[tuple[tuple[int, int], int]]  # ((how, size), how often) of steps, in order


class Steps:
    """The steps of one pass over `examples` of the set; `passes`, one per lane, differ in their numbers only.

    Changes `states` in place. `tick` is called while examples are ranked. `ahead`: batches are to be made for several steps
    at once, `window` of them; where those are more than 1, `fill` is called before each step that is a multiple of them.
    """

    def __init__(
        self,
        program: Program,
        states: States,
        lanes: Sequence[Lane],
        passes: Sequence[Pass],
        tick: Callable[[], None] = lambda: None,
        *,
        ahead: bool = False,
    ) -> None:
        self._program, self._states, self._pass = program, states, passes[0]
        self._stacked = len(lanes) > 1
        self.examples = self._pass.kept or len(program.task.train)
        self._edges = edges = bounds(self.examples, program.hypers.batch_size)
        device = program.task.train.y.device
        self._number = torch.zeros((), dtype=torch.int64, device=device)
        self._places = torch.arange(max(stop - start for start, stop in edges), device=device)
        self._stride = edges[1][0] if len(edges) > 1 else 0  # examples from one batch to the next
        self._feed = self._fed(lanes, tick)
        self.window = steps_ahead(edges[0][1] * len(lanes)) if ahead else 1
        self._window = Window(self._drawn, edges, self.window, device) if self.window > 1 else None
        moves, settings = program.optimiser(self._pass.trains), tuple(self._setting(lane) for lane in lanes)
        self._optimiser = moves(states[self._pass.trains], settings)
        self._numbers = {name: self._table([each.numbers[name] for each in passes]) for name in self._pass.numbers}
        self.totals: dict[str, Tensor] = {}
        self._ones = torch.ones(len(lanes) if self._stacked else (), dtype=program.dtype, device=device)
        self._notes = states[CLASSIFIER].notes if self._pass.trains == CLASSIFIER else {}
        self._nothing: dict[tuple[torch.Size, torch.dtype], Tensor] = {}
        # on the same states, passes of the same key differ in what `inputs` hold, and in the order of their steps
        self.key = self._pass.trains, self.examples, self._pass.dropout, tuple(self._numbers), settings

    def runs(self) -> Runs:
        """The steps in order: neighbours that do the same on as many examples are one step repeated."""
        sizes = [stop - start for start, stop in self._edges]
        return [(each, len(list(same))) for each, same in groupby(zip(self._pass.how, sizes, strict=True))]

    def inputs(self) -> list[Tensor]:
        """What the steps read that an epoch brings along, the number of the step, which they count, included."""
        return [self._number, *self._numbers.values(), *self._feed.inputs(), *self._optimiser.inputs()]

    def fill(self) -> None:
        """Make the batches of the next steps."""
        assert self._window
        self._window.fill(self._number)

    def end(self) -> None:
        """To be called after the last step."""
        self._states[self._pass.trains].steps += len(self._edges)

    def step(self, how: int, size: int) -> Callable[[], None]:
        """One step on the next `size` examples."""
        program, trains = self._program, self._pass.trains
        function = program.learn(how) if trains == CLASSIFIER else program.tutor(how)
        function = torch.func.vmap(function) if self._stacked else function
        names = tuple(self._states) if how or trains != CLASSIFIER else (CLASSIFIER,)  # the networks that it needs
        buffers = {name: self._states[name].buffers for name in names}
        views = None if any(program.nets[name].cast for name in names) else self._parameters(names)

        def step() -> None:
            x, y, masks = self._batch(size)
            numbers = {name: rows.index_select(0, self._number).squeeze(0) for name, rows in self._numbers.items()}
            params, leaves = views or self._parameters(names)  # what is cast is cast at every step
            loss, changed, means, noted = function(params, buffers, x, y, masks, numbers, self._noted(size))
            grads = torch.autograd.grad(loss, leaves, self._ones, allow_unused=True)  # of the lanes' sum
            self._optimiser.step([self._zeros(leaf) if grad is None else grad for grad, leaf in zip(grads, leaves, strict=True)])
            self._keep(buffers, changed, means, y.shape[-1])
            for name, note in noted.items():
                self._notes[name].scatter_(-1, self._feed.rows(self._at(size)), note)
            self._number += 1

        return step

    def _batch(self, size: int) -> Batch:
        """The next step's."""
        if self._window:
            return self._window.batch(self._number, size)
        return self._feed.batch(self._at(size), self._program.task.scale, self._program.dtype)

    def _at(self, size: int) -> Tensor:
        """The next step's places in the order."""
        return self._places[:size] + self._number * self._stride

    def _noted(self, size: int) -> Tensors:
        """The notes of the next step's examples."""
        return {name: note.gather(-1, self._feed.rows(self._at(size))) for name, note in self._notes.items()}

    def _drawn(self, places: Tensor) -> Batch:
        return self._feed.drawn(places, self._program.task.scale, self._program.dtype)

    def _zeros(self, like: Tensor) -> Tensor:
        """The gradient of what the loss does not depend on: made once."""
        kind = like.shape, like.dtype
        if kind not in self._nothing:
            self._nothing[kind] = torch.zeros_like(like, requires_grad=False)
        return self._nothing[kind]

    def _keep(self, buffers: Trees, changed: Trees, means: dict[str, Tensor], examples: int) -> None:
        """The networks' new buffers and the sums to log."""
        old = [buffers[net][name] for net, tensors in changed.items() for name in tensors]
        if old:
            torch._foreach_copy_(old, [tensor for tensors in changed.values() for tensor in tensors.values()])
        for name, mean in means.items():
            if name not in self.totals:
                self.totals[name] = torch.zeros_like(mean)
            self.totals[name].add_(mean, alpha=examples)

    def _parameters(self, names: Sequence[str]) -> tuple[Trees, list[Tensor]]:
        """The weights of networks by network and name; those of the network that moves want gradients and are listed too."""
        params = {name: self._program.nets[name].layers(self._states[name].weights) for name in names}
        trains = self._pass.trains
        params[trains] = {name: weight.detach().requires_grad_() for name, weight in params[trains].items()}
        return params, list(params[trains].values())

    def _fed(self, lanes: Sequence[Lane], tick: Callable[[], None]) -> Feed:
        program, each = self._program, self._pass
        seeds, epochs = [lane.member.seed for lane in lanes], [lane.epoch + 1 for lane in lanes]
        # copies: `inputs` of a kept pass are written to
        labels = torch.stack([lane.labels for lane in lanes]) if self._stacked else lanes[0].labels.clone()
        rows = orders(len(program.task.train), seeds, epochs, each.stream, labels.device)
        if each.kept:
            buffers = {name: state.buffers for name, state in self._states.items()}
            params, _ = self._parameters(tuple(self._states))
            rows = lowest(program, params, buffers, labels, self._states[CLASSIFIER].notes, rows, each, tick)
        sites = program.nets[CLASSIFIER].dropout if each.dropout else ()
        augment = program.hypers.augment == "crop-flip"
        return Feed(program.task.train, seeds, epochs, each.stream, sites, labels=labels, rows=rows, augment=augment)

    def _setting(self, lane: Lane) -> Setting:
        """How the network that moves does so in this epoch."""
        h, method = lane.member.hypers, self._program.method
        if own := method.networks(h).get(self._pass.trains):
            return Setting(own.lr, own.weight_decay)
        lr = rate(h, lane.epoch + 1, method.altered(h, len(self._program.edges)))
        return Setting(lr, h.weight_decay, h.momentum)

    def _table(self, numbers: Sequence[Sequence[float]]) -> Tensor:
        """The lanes' plans as (batches,) for one lane, (batches, K) for several."""
        table = torch.tensor(numbers, dtype=torch.float64).T.to(self._number.device, self._program.dtype)
        return table if self._stacked else table[:, 0]
