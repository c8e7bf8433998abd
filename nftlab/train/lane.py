"""A lane: one trial and seed in training, with every number that it consists of."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nftlab.configuration import brief, config_of
from nftlab.data.noise import noisy
from nftlab.errors import ConfigError, DataError
from nftlab.hypers import Hypers
from nftlab.train.checkpoint import Checkpoint
from nftlab.train.net import Net, NetState, Tensors
from nftlab.train.program import CLASSIFIER, Program
from nftlab.train.rng import generator

_PURPOSE = {CLASSIFIER: "weights"}  # of the initial weights; other networks use "<name>-weights"


@dataclass(frozen=True)
class Member:
    """One trial and seed that takes part in a pack; `key` names it."""

    key: str
    seed: int
    hypers: Hypers


@dataclass(frozen=True)
class Best:
    """The selected epoch: lowest validation error among eligible epochs, the earliest of equals; errors in percent."""

    epoch: int
    val_error: float
    test_error: float
    weights: Tensor
    buffers: Tensors


@dataclass
class Lane:
    """`epoch` counts finished epochs; `nets` are the numbers of the classifier and of the method's networks; `labels` (n,) it trains on."""

    member: Member
    nets: dict[str, NetState]
    labels: Tensor
    epoch: int = 0
    best: Best | None = None
    diverged: bool = False

    @property
    def finished(self) -> bool:
        """No epoch is left to train."""
        return self.diverged or self.epoch >= self.member.hypers.epochs


def fresh(program: Program, member: Member) -> Lane:
    """A lane before its first epoch: initial weights are a function of the seed and the network's name."""
    device = program.task.train.y.device
    nets = {
        name: net.initial(member.seed, _PURPOSE.get(name, f"{name}-weights"), program.dtype, device, program.optimiser(name).moments)
        for name, net in program.nets.items()
    }
    nets[CLASSIFIER].notes = {
        name: torch.zeros(len(program.task.train), dtype=program.dtype, device=device) for name in program.method.notes
    }
    return Lane(member, nets, labels(program, member))


def digest(member: Member) -> str:
    """sha256 of what a checkpoint must agree on to be continued: hyper-parameters and seed."""
    return hashlib.sha256(json.dumps([brief(config_of(member.hypers)), member.seed], sort_keys=True).encode()).hexdigest()


def to_checkpoint(program: Program, lane: Lane) -> Checkpoint:
    """A copy of the whole lane on the CPU.

    `<net>/weights/<parameter>`, `<net>/buffers/…`, `<net>/adam/{m,v,steps}` or `<net>/sgd/{momentum,steps}`, `<net>/notes/…`, `best/…`.
    """
    tensors: Tensors = {}
    for name, state in lane.nets.items():
        net, own = program.nets[name], f"{name}/{program.optimisers[name]}"
        tensors |= _named(f"{name}/", net, state.weights, state.buffers)
        tensors |= {f"{own}/{part}": net.packed(moment) for part, moment in state.moments.items()} | {f"{own}/steps": state.steps}
        tensors |= {f"{name}/notes/{note}": numbers for note, numbers in state.notes.items()}
    if lane.best:
        tensors |= _named("best/", program.nets[CLASSIFIER], lane.best.weights, lane.best.buffers)
    meta = {"epoch": lane.epoch, "diverged": lane.diverged, "best": _best_meta(lane.best), **_identity(lane.member)}
    return Checkpoint(_copied(tensors), meta)


def best_checkpoint(lane: Lane, nets: dict[str, Net]) -> Checkpoint | None:
    """The selected classifier under the names of its module's state_dict; None when no epoch was eligible yet."""
    if lane.best is None:
        return None
    tensors = nets[CLASSIFIER].views(lane.best.weights) | lane.best.buffers
    return Checkpoint(_copied(tensors), {**(_best_meta(lane.best) or {}), **_identity(lane.member)})


def from_checkpoint(program: Program, member: Member, checkpoint: Checkpoint) -> Lane:
    """The lane that `to_checkpoint` took down; ConfigError when it is another trial's, DataError when parts are missing."""
    meta, tensors = checkpoint.meta, checkpoint.tensors
    if meta.get("digest") != digest(member):
        whose = f"{meta.get('key')} seed {meta.get('seed')}"
        raise ConfigError(f"the checkpoint of {whose} was made with other hyper-parameters or seed than {member.key}")
    lane = Lane(member, {}, labels(program, member), epoch=meta["epoch"], diverged=meta["diverged"])
    device = program.task.train.y.device
    try:
        for name, net in program.nets.items():
            weights, buffers = _unnamed(f"{name}/", net, tensors, program.dtype, device)
            own, parts = f"{name}/{program.optimisers[name]}", program.optimiser(name).moments
            moments = {part: net.spread(tensors[f"{own}/{part}"]).to(device, program.dtype) for part in parts}
            noted = program.method.notes if name == CLASSIFIER else ()
            notes = {note: tensors[f"{name}/notes/{note}"].view(len(lane.labels)).to(device, program.dtype, copy=True) for note in noted}
            lane.nets[name] = NetState(weights, buffers, moments, tensors[f"{own}/steps"].clone(), notes)
        if best := meta["best"]:
            selected = _unnamed("best/", program.nets[CLASSIFIER], tensors, program.dtype, device)
            lane.best = Best(best["epoch"], best["val_error"], best["test_error"], *selected)
    except (KeyError, RuntimeError) as error:
        raise DataError(f"the checkpoint of {member.key} at epoch {meta['epoch']} does not fit its networks: {error}") from error
    return lane


def labels(program: Program, member: Member) -> Tensor:
    """Those of the training set, noisy where the trial asks for it: a function of the seed."""
    y, h = program.task.train.y, member.hypers
    if not h.label_noise:
        return y
    return noisy(y, h.label_noise, generator(member.seed, "label-noise", 0), h.noise_recipe, program.task.classes)


def _identity(member: Member) -> dict[str, Any]:
    return {"key": member.key, "seed": member.seed, "digest": digest(member), "config": config_of(member.hypers)}


def _best_meta(best: Best | None) -> dict[str, Any] | None:
    names = ("epoch", "val_error", "test_error")
    return {f.name: getattr(best, f.name) for f in dataclasses.fields(best) if f.name in names} if best else None


def _named(prefix: str, net: Net, weights: Tensor, buffers: Tensors) -> Tensors:
    parameters = {f"{prefix}weights/{name}": p for name, p in net.views(weights).items()}
    return parameters | {f"{prefix}buffers/{name}": b for name, b in buffers.items()}


def _unnamed(prefix: str, net: Net, tensors: Tensors, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensors]:
    weights = net.flat({name: tensors[f"{prefix}weights/{name}"].view(shape) for name, shape in net.shapes.items()})
    start = f"{prefix}buffers/"
    buffers = {name.removeprefix(start): t.to(device, dtype, copy=True) for name, t in tensors.items() if name.startswith(start)}
    return weights.to(device, dtype), buffers


def _copied(tensors: Tensors) -> Tensors:
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
