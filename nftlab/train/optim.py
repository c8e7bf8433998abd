"""Optimisers for one lane or K lanes at once: torch's own fused kernels, with settings per lane.

A kernel reads and writes every number once, four times as fast on a CPU as the formula written in tensor operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from nftlab.train.net import NetState, spans

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # torch.optim.Adam's defaults


class Setting(NamedTuple):
    """Of one lane in one epoch; the weight decay is added to the gradient, momentum is SGD's."""

    lr: float
    weight_decay: float
    momentum: float = 0.0


class Optimiser:
    """Steps on `state`, in place, of lanes with a setting each; lanes of equal settings are updated by one call.

    Steps are counted on the device, so that a step can be recorded and replayed: `state.steps` is the caller's to keep.
    """

    moments: ClassVar[tuple[str, ...]]  # what it keeps of every weight: names in NetState.moments

    def __init__(self, state: NetState, settings: Sequence[Setting]) -> None:
        self._moved = [state.weights, *(state.moments[name] for name in self.moments)]
        self._steps = state.steps.to(state.weights.device, torch.float32, copy=True)
        self._stacked = state.weights.dim() > 1
        self._gradient: Tensor | None = None  # of all lanes
        self._gap = state.weights.new_zeros(*state.weights.shape[:-1], max(spans([1])))  # what lies behind a parameter, at most
        self._groups: dict[Setting, list[int]] = {}  # lanes that one call can update
        for lane, setting in enumerate(settings):
            self._groups.setdefault(setting, []).append(lane)

    def inputs(self) -> list[Tensor]:
        """What it keeps beside the state."""
        return [self._steps]

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor]) -> None:
        """One step with the gradients of the parameters in the order of `Net.shapes`."""
        self._steps += 1
        rows = [g.flatten(1 if self._stacked else 0) for g in grads]
        sizes = [row.shape[-1] for row in rows]
        widths = spans(sizes)
        if not self._stacked:  # parameter by parameter, the gradients need not be copied together
            moved = [[piece[:size] for size, piece in zip(sizes, t.split(widths), strict=True)] for t in self._moved]
            self._update([self._same(rows), *moved], [self._steps] * len(sizes), next(iter(self._groups)))
            return
        if self._gradient is None:
            self._gradient = torch.empty_like(self._moved[0])
        gaps = [self._gap[:, : width - size] for size, width in zip(sizes, widths, strict=True)]
        torch.cat([part for pair in zip(rows, gaps, strict=True) for part in pair], 1, out=self._gradient)
        columns, steps = [list(t.unbind(0)) for t in (self._gradient, *self._moved)], self._steps.unbind(0)
        for setting, lanes in self._groups.items():
            self._update([[column[k] for k in lanes] for column in columns], [steps[k] for k in lanes], setting)

    def _same(self, rows: list[Tensor]) -> list[Tensor]:
        """Gradients in the weights' precision; those of another are cast together."""
        own = self._moved[0].dtype
        others = [row for row in rows if row.dtype != own]
        cast = iter(torch.cat(others).to(own).split([len(row) for row in others]) if others else ())
        return [next(cast) if row.dtype != own else row.contiguous() for row in rows]

    def _update(self, columns: list[list[Tensor]], steps: list[Tensor], setting: Setting) -> None:
        """One call of the kernel for lists of gradients, weights and each of the moments, and for step numbers."""
        raise NotImplementedError


class Adam(Optimiser):
    """torch.optim.Adam; moments are its averages of gradients and of their squares."""

    moments = ("m", "v")

    def _update(self, columns: list[list[Tensor]], steps: list[Tensor], setting: Setting) -> None:
        g, w, m, v = columns
        lr, decay, _ = setting
        # torch.optim.Adam(fused=True) calls this too, but takes seconds to build: it imports torch's compiler
        torch._fused_adam_(
            w, g, m, v, [], steps, lr=lr, beta1=BETA1, beta2=BETA2, weight_decay=decay, eps=EPSILON, amsgrad=False, maximize=False
        )


class Sgd(Optimiser):
    """torch.optim.SGD without Nesterov's correction and without dampening."""

    moments = ("momentum",)

    def _update(self, columns: list[list[Tensor]], steps: list[Tensor], setting: Setting) -> None:
        g, w, averages = columns
        lr, decay, momentum = setting
        torch._fused_sgd_(
            w,
            g,
            averages if momentum else [],  # from zeros the first average is the gradient, as torch starts it
            weight_decay=decay,
            momentum=momentum,
            lr=lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )


OPTIMISERS: dict[str, type[Optimiser]] = {"adam": Adam, "sgd": Sgd}
