"""A network as a function of its weights, and the numbers one lane has for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nftlab.methods.base import mapped
from nftlab.train.arithmetic import Precision
from nftlab.train.layers import DropoutSites
from nftlab.train.rng import seed_of

Tensors = dict[str, Tensor]
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
# In a flat tensor every parameter begins at a multiple of so many numbers: kernels on a GPU may fail where a tensor does not
# begin as one that was allocated alone would. The gaps are zeros, and stay so.
_ALIGNED = 32


def spans(sizes: Sequence[int]) -> list[int]:
    """Numbers that parameters of these sizes take in a flat tensor, with the gaps behind them."""
    return [-(-size // _ALIGNED) * _ALIGNED for size in sizes]


@dataclass
class NetState:
    """All numbers of one network in training: of one lane, or of K lanes with a leading axis K on every tensor.

    `weights` (P,) are the parameters one after the other (`spans`), `moments` what the optimiser keeps of each of them (P,),
    `steps` () int64 on the CPU the optimiser steps taken, `buffers` BatchNorm's running statistics, `notes` (n,) what the
    method keeps of each training example that the network learns from.
    """

    weights: Tensor
    buffers: Tensors
    moments: Tensors
    steps: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    notes: Tensors = field(default_factory=dict)


class Net:
    """What `build` builds, as code and shapes without numbers: call it with parameters, as `layers` gives them, and buffers.

    Layers compute in `precision.layers`; BatchNorm, and whatever lies outside the network, in `precision.state`.
    `before` is done to examples at its door.
    """

    def __init__(self, build: Callable[[], nn.Module], precision: Precision, before: Callable[[Tensor], Tensor] | None = None) -> None:
        self._build, self._precision, self._before = build, precision, before
        with torch.device("meta"):
            skeleton = build()
        # one skeleton per mode: switching a module's mode at every call would walk its layers
        self._modes = {True: skeleton, False: copy.deepcopy(skeleton).eval()}
        self.shapes = {name: p.shape for name, p in skeleton.named_parameters()}
        self._sizes = [shape.numel() for shape in self.shapes.values()]
        self._spans = spans(self._sizes)
        self.needs_pairs = any(isinstance(layer, nn.BatchNorm1d) for layer in skeleton.modules())
        norms = [f"{name}." for name, layer in skeleton.named_modules() if isinstance(layer, _NORMS)]
        # the parameters that a call takes in another precision than they have
        self.cast = {name for name in self.shapes if not name.startswith(tuple(norms))} if precision.layers != precision.state else set()
        self.dropout: DropoutSites = skeleton.dropout  # type: ignore[assignment]  # nn.Module types attributes as tensors

    def __call__(self, params: Tensors, buffers: Tensors, *inputs: Any, train: bool) -> tuple[Tensor, Tensors]:
        """(output, new buffers); in train mode BatchNorm uses batch statistics and the given buffers stay as they are."""
        if train:
            buffers = _copies(buffers)
        first, *rest = inputs
        if self._before:
            first = self._before(first)
        if first.is_cpu and not any(mapped(x) for x in (first, next(iter(params.values())))):
            first = channels_last(first)  # what another network or a gradient made, too; on a GPU that gains nothing
        if self.cast:
            first = first.to(self._precision.layers)
        return functional_call(self._modes[train], (params, buffers), (first, *rest)).to(self._precision.state), buffers

    def initial(self, seed: int, purpose: str, dtype: torch.dtype, device: torch.device, moments: Sequence[str] = ()) -> NetState:
        """Fresh numbers, drawn in float32 whatever `dtype` is, moments being 0; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, purpose))  # torch.manual_seed would seed every GPU's too
            module = self._build()
        weights = self.flat({name: p.detach() for name, p in module.named_parameters()}).to(device, dtype)
        buffers = {name: b.to(device, dtype) for name, b in module.named_buffers()}
        return NetState(weights, buffers, {name: torch.zeros_like(weights) for name in moments})

    def views(self, weights: Tensor) -> Tensors:
        """The parameters by name, as views of (P,) or (K, P) weights."""
        pieces = zip(self.shapes.items(), self._sizes, weights.split(self._spans, -1), strict=True)
        return {name: piece[..., :size].view(*piece.shape[:-1], *shape) for (name, shape), size, piece in pieces}

    def layers(self, weights: Tensor) -> Tensors:
        """The parameters by name as a call wants them: those of layers in the layers' precision, cast together; views of the others."""
        views = self.views(weights)
        if not self.cast:
            return views
        return views | {name: view for name, view in self.views(weights.to(self._precision.layers)).items() if name in self.cast}

    def flat(self, params: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `views` for one lane; each parameter in any shape. Raises RuntimeError for too many numbers or too few."""
        some = next(iter(params.values()))
        flat = some.new_zeros(sum(self._spans))  # written once: fresh memory of a large network's size is what a job's start costs
        for name, view in self.views(flat).items():
            view.copy_(params[name].reshape(view.shape))
        return flat

    def packed(self, flat: Tensor) -> Tensor:
        """(P,) without its gaps."""
        return torch.cat([view.flatten() for view in self.views(flat).values()])

    def spread(self, packed: Tensor) -> Tensor:
        """The inverse of `packed`; raises RuntimeError for too many numbers or too few."""
        return self.flat(dict(zip(self.shapes, packed.split(self._sizes), strict=True)))


def channels_last(x: Tensor) -> Tensor:
    """The same examples (b, …) of one lane; images lie channels last in memory, which convolutions on a CPU are faster at.

    Those of stacked lanes could not gain: they become groups of one convolution.
    """
    if x.dim() != 4:
        return x
    rows = x.permute(0, 2, 3, 1)
    return rows.flatten().view(rows.shape).permute(0, 3, 1, 2)  # flatten: a single channel keeps its strides otherwise


def _copies(tensors: Tensors) -> Tensors:
    """Of BatchNorm's statistics, of which a network has many: of a lane alone one kernel on a GPU makes all."""
    if not tensors or any(mapped(tensor) for tensor in tensors.values()):
        return {name: tensor.clone() for name, tensor in tensors.items()}
    return dict(zip(tensors, torch._foreach_mul(list(tensors.values()), 1), strict=True))


class BoundNet:
    """A network with one lane's weights. Call it as `net(*inputs, train=...)`; `buffers` follows what it leaves."""

    def __init__(self, net: Net, params: Tensors, buffers: Tensors) -> None:
        self._net, self._params, self.buffers = net, params, buffers

    def __call__(self, *inputs: object, train: bool) -> Tensor:
        out, self.buffers = self._net(self._params, self.buffers, *inputs, train=train)
        return out


def stack(states: list[NetState]) -> NetState:
    """Copies of the lanes' numbers with a leading axis; a single lane gets no axis."""
    buffers = {name: _copy([s.buffers[name] for s in states]) for name in states[0].buffers}
    moments = {name: _copy([s.moments[name] for s in states]) for name in states[0].moments}
    notes = {name: _copy([s.notes[name] for s in states]) for name in states[0].notes}
    return NetState(_copy([s.weights for s in states]), buffers, moments, _copy([s.steps for s in states]), notes)


def unstack(state: NetState) -> list[NetState]:
    """The inverse of `stack`: one state per lane, views of the stacked tensors."""
    if state.weights.dim() == 1:
        return [state]
    return [
        NetState(state.weights[k], _of(state.buffers, k), _of(state.moments, k), state.steps[k], _of(state.notes, k))
        for k in range(len(state.weights))
    ]


def _of(tensors: Tensors, k: int) -> Tensors:
    return {name: tensor[k] for name, tensor in tensors.items()}


def _copy(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)) if len(tensors) > 1 else tensors[0].clone()
