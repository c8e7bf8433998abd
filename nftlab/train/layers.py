"""What networks are made of: BatchNorm in its own precision, layers before it, dropout as an argument.

A network lists in `dropout` the (shape per example, rate) of each of its masks and its `forward(x, masks)` says
`dropped(x, mask)` where it falls; without masks it does not drop. So a forward pass is a pure function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nftlab.errors import ConfigError
from nftlab.methods.base import mapped

Shape = tuple[int, ...]
DropoutSites = tuple[tuple[Shape, float], ...]


def channels_of(shape: Shape, side: int) -> int:
    """Of images with at least so many pixels a side. Raises ConfigError for smaller ones and for vectors."""
    if len(shape) != 3 or min(shape[1:]) < side:
        raise ConfigError(f"this network needs images of {side}×{side} at least, the examples have shape {shape}", "use fc-a or fc-b")
    return shape[0]


class Norm1d(nn.BatchNorm1d):
    """BatchNorm in its own precision whatever its input's is, without the counter that only a cumulative average would read."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.num_batches_tracked = None

    def forward(self, x: Tensor) -> Tensor:
        return _normed(self, super().forward, x)


class Norm2d(nn.BatchNorm2d):
    """The same for channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def forward(self, x: Tensor) -> Tensor:
        return _normed(self, super().forward, x)


def _normed(norm: Norm1d | Norm2d, usual: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """torch's BatchNorm; mapped over lanes it takes no input of another precision than its own, and cuDNN's no single channel."""
    if not mapped(x):
        return usual(x)
    own = x.to(norm.weight.dtype)
    return (usual(own) if x.shape[1] > 1 else _single(norm, own)).to(x.dtype)


def _single(norm: Norm1d | Norm2d, x: Tensor) -> Tensor:
    """BatchNorm of one channel, which is one mean and one variance."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None  # as Norm1d and Norm2d are built
    assert variance is not None
    assert norm.momentum is not None
    if norm.training:
        seen, rate = torch.var_mean(x, correction=0), norm.momentum
        with torch.no_grad():
            variance.mul_(1 - rate).add_(seen[0].detach(), alpha=rate * x.numel() / (x.numel() - 1))
            mean.mul_(1 - rate).add_(seen[1].detach(), alpha=rate)
        variance, mean = seen
    return (x - mean) * (variance + norm.eps).rsqrt() * norm.weight + norm.bias


class LinearBeforeNorm(nn.Linear):
    """A layer whose bias the following BatchNorm subtracts again, so its gradient is zero and is not computed.

    What autograd finds instead is rounding noise, which Adam scales up to whole steps: trajectories that are equal in
    exact arithmetic would drift apart.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias.detach())


class ConvBeforeNorm(nn.Conv2d):
    """The convolution of that kind."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, None if self.bias is None else self.bias.detach(), self.stride, self.padding)


class NarrowLinear(nn.Linear):
    """A layer of few units, computed as W·xᵀ: its weights' gradient is then a product that CPUs are five times faster at."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight @ x.t()).t() + self.bias


class _Masked(torch.autograd.Function):
    """x · mask, multiplied in the mask's precision and rounded to that of x, in one kernel: autograd's own casts are kernels, too."""

    @staticmethod
    def forward(x: Tensor, mask: Tensor) -> Tensor:
        return torch.mul(x, mask, out=torch.empty_like(x))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Masked.apply(grad, ctx.saved_tensors[0]), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, int | None], x: Tensor, mask: Tensor) -> tuple[Tensor, int]:
        lanes = zip((x, mask), in_dims, strict=True)
        return _Masked.apply(*(t.expand(info.batch_size, *t.shape) if axis is None else t.movedim(axis, 0) for t, axis in lanes)), 0


def dropped(x: Tensor, mask: Tensor) -> Tensor:
    """What dropout leaves of x, in its precision; masks stay exact in any."""
    return x * mask if x.dtype == mask.dtype else _Masked.apply(x, mask)
