"""A job's networks at chosen epochs. Checkpoints between the first and the last epoch are not kept, so the job is trained
again from the nearest one before, by the same pack that workers use: the same numbers, to the bit on the same device alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nftlab.data import Task
from nftlab.errors import ConfigError, DataError
from nftlab.train import Checkpoint, Member, Pack
from nftlab.train.checkpoint import load
from nftlab.train.feed import seen
from nftlab.train.lane import labels
from nftlab.train.net import BoundNet
from nftlab.train.program import CLASSIFIER, Program, build


@dataclass(frozen=True)
class Snapshot:
    """A job after an epoch, on the CPU."""

    epoch: int
    member: Member
    program: Program
    nets: dict[str, BoundNet]

    @property
    def task(self) -> Task:
        """The data that the job trains on."""
        return self.program.task

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        """The first training examples as networks see them, and the labels that the job trains on."""
        return seen(self.task.train.x[:count], self.task.scale, self.program.dtype), labels(self.program, self.member)[:count]

    def shown(self, x: Tensor, y: Tensor) -> Tensor:
        """What the next epoch would begin with showing the classifier in place of examples (b, …), one batch."""
        h, method = self.member.hypers, self.program.method
        if self.epoch >= h.epochs:
            return x
        plan = method.plan(h, self.epoch + 1, len(self.program.edges))
        step = next(each for each in plan.passes if each.trains == CLASSIFIER)
        if not step.how[0]:
            return x
        numbers = {name: torch.tensor(values[0], dtype=x.dtype) for name, values in step.numbers.items()}
        with torch.no_grad():
            shown, _ = method.present(self.nets, x, y, step.how[0], numbers)
        return shown if len(shown) == len(x) else x  # a method that leaves examples out alters none

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """What the classifier gives each class, (b, classes), in eval mode."""
        return self.nets[CLASSIFIER](x, train=False).softmax(-1)


def snapshots(
    task: Task,
    member: Member,
    epochs: Iterable[int],
    *,
    runs: Path | None = None,
    sums: Collection[str] = (),
    device: str = "cpu",
    progress: Callable[[int], None] = lambda epoch: None,
) -> Iterator[Snapshot]:
    """The job after each of these epochs (1-based; those past its end are its end), in rising order.

    `runs` is the workers' folder: where it holds a checkpoint of the job with one of the `sums` (SHA-256) that the job table
    knows, training goes on from there. `progress` is told the epoch reached. Raises ConfigError when the job diverges on the way.
    """
    pack, program, at = Pack(task, [member], device=device), build(task, member.hypers), 0
    stored = _stored(runs / "checkpoints" / member.key, sums) if runs else {}
    for epoch in sorted({min(epoch, member.hypers.epochs) for epoch in epochs}):
        at = _nearest(pack, member, stored, at, epoch)
        while at < epoch:
            if not pack.live:
                raise ConfigError(f"job {member.key} diverged in epoch {at}: there is nothing to show after it")
            pack.train_epoch()
            at += 1
            progress(at)
        yield Snapshot(epoch, member, program, _nets(program, pack.checkpoint(member.key)))


def _stored(folder: Path, sums: Collection[str]) -> dict[int, Checkpoint]:
    """The job's checkpoints by epoch, those alone that the job table knows: others may have been put there by anybody."""
    found = {}
    for path in folder.glob("*/epoch-*.safetensors"):
        for sha in sums:
            with contextlib.suppress(DataError):
                checkpoint = load(path, sha)
                found[int(checkpoint.meta["epoch"])] = checkpoint
    return found


def _nearest(pack: Pack, member: Member, stored: Mapping[int, Checkpoint], at: int, epoch: int) -> int:
    """Moves the lane to the job's last usable checkpoint between two epochs; returns the epoch at which it then stands."""
    for number in sorted((number for number in stored if at < number <= epoch), reverse=True):
        with contextlib.suppress(DataError, ConfigError):  # of another version of the code: train it again
            pack.restore(member.key, stored[number])
            return number
    return at


def _nets(program: Program, checkpoint: Checkpoint) -> dict[str, BoundNet]:
    """The networks with a checkpoint's numbers."""
    nets = {}
    for name, net in program.nets.items():
        params = {key: checkpoint.tensors[f"{name}/weights/{key}"].view(shape) for key, shape in net.shapes.items()}
        start = f"{name}/buffers/"
        buffers = {key.removeprefix(start): tensor for key, tensor in checkpoint.tensors.items() if key.startswith(start)}
        nets[name] = BoundNet(net, net.layers(net.flat(params)), buffers)
    return nets
