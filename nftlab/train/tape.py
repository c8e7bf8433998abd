"""What recorded steps read and write, kept from one epoch to the next, so that an epoch like an earlier one only replays.

A recording is bound to its tensors. So the lanes' numbers are copied into the same tensors at the start of every epoch,
and what a new pass brings along (orders, labels, keys, strengths) into those of an earlier pass of the same key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

import torch
from torch import Tensor

from nftlab.train.graph import Recorder
from nftlab.train.net import NetState
from nftlab.train.steps import Runs, States, Steps

_FILL = "fill"  # the recording of what makes batches ahead
_PASSES = 4  # kept at once: neural friendly training has three kinds


class Tape(Recorder):
    """A recorder with the numbers of the lanes that it trains; lanes may change where their number and settings do not."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._states: States | None = None
        self._passes: dict[Hashable, Steps] = {}  # the one used last comes last

    def holding(self, states: States) -> States:
        """Tensors that recordings know, with the numbers of `states`."""
        if self._states is None or _shapes(self._states) != _shapes(states):
            self._states, self._passes = states, {}
            self.forget()
            return states
        _copy(_tensors(self._states.values()), _tensors(states.values()))
        for name, state in states.items():
            self._states[name].steps.copy_(state.steps)
        return self._states

    def like_before(self, steps: Steps) -> Steps:
        """An earlier pass of the same key that now does what `steps` would, or `steps`."""
        known = self._passes.get(steps.key)
        if known:
            _copy(known.inputs(), steps.inputs())
            for total in known.totals.values():
                total.zero_()
            del self._passes[steps.key]  # to come last again
        elif len(self._passes) == _PASSES:
            oldest = next(iter(self._passes))
            del self._passes[oldest]
            self.forget(oldest)
        self._passes[steps.key] = known or steps
        return known or steps

    def play(self, steps: Steps, runs: Runs) -> Iterator[None]:
        """All steps of a pass, yielding after each; their batches are made some steps ahead."""
        fills = self.repeat(steps.fill, -(-sum(count for _, count in runs) // steps.window), steps.key, _FILL)
        done = 0
        for name, count in runs:
            each = self.repeat(steps.step(*name), count, steps.key, name)
            for _ in range(count):
                if steps.window > 1 and done % steps.window == 0:
                    next(fills)
                next(each)
                yield
                done += 1
        self.keep(steps.key, {_FILL, *(name for name, _ in runs)})


def _tensors(states: Iterable[NetState]) -> list[Tensor]:
    return [
        tensor for state in states for tensor in (state.weights, *state.buffers.values(), *state.moments.values(), *state.notes.values())
    ]


def _shapes(states: States) -> list[torch.Size]:
    return [tensor.shape for tensor in _tensors(states.values())]


def _copy(old: list[Tensor], new: list[Tensor]) -> None:
    if old:
        torch._foreach_copy_(old, new)
