"""The classifiers of the NFT paper (Marullo et al., AAAI 2022).

Dropout is an argument: a network lists in `dropout` the (shape per example, rate) of each of its masks and its
`forward(x, masks)` says `dropped(x, mask)` where it falls; without masks it does not drop. So a forward pass is a pure function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nftlab.errors import ConfigError
from nftlab.methods.base import mapped

Shape = tuple[int, ...]
DropoutSites = tuple[tuple[Shape, float], ...]


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


class FCA(nn.Module):
    """FC-A: ten tanh units."""

    dropout: DropoutSites = ()

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        self.hidden = NarrowLinear(prod(shape), 10)
        self.out = NarrowLinear(10, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        return self.out(self.hidden(x.flatten(1)).tanh())


class FCB(nn.Module):
    """FC-B: 2500-2000-1500-1000-500 units, each layer Linear → BatchNorm → ReLU."""

    dropout: DropoutSites = ()
    widths: tuple[int, ...] = (2500, 2000, 1500, 1000, 500)

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        widths = (prod(shape), *self.widths)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [LinearBeforeNorm(before, after), Norm1d(after), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(widths[-1], outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        return self.out(self.hidden(x.flatten(1)))


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


class ConvNet(nn.Module):
    """Valid convolutions with ReLU → 2×2 max pooling → dropout ¼ → 128 ReLU units → dropout ½ → logits."""

    kernels: tuple[tuple[int, int], ...]  # (filters, kernel size) of each convolution

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ConfigError(f"a convolutional network needs images, the examples have shape {shape}", "use fc-a or fc-b")
        channels, sides = shape[0], [side - sum(size - 1 for _, size in self.kernels) for side in shape[1:]]
        if min(sides) < 2:
            raise ConfigError(f"images of {shape[1]}×{shape[2]} are too small for this convolutional network", "use fc-a or fc-b")
        self.convs = nn.ModuleList()
        for filters, size in self.kernels:
            self.convs.append(nn.Conv2d(channels, filters, size))
            channels = filters
        pooled = (channels, sides[0] // 2, sides[1] // 2)
        self.hidden = nn.Linear(prod(pooled), 128)
        self.out = nn.Linear(128, outputs)
        self.dropout: DropoutSites = ((pooled, 0.25), ((128,), 0.5))

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        *convs, last = self.convs
        for conv in convs:
            x = F.relu(conv(x))
        x = F.relu(F.max_pool2d(last(x), 2))  # the same as the other way round, on a quarter of the numbers
        if masks:
            x = dropped(x, masks[0])
        x = F.relu(self.hidden(x.flatten(1)))
        if masks:
            x = dropped(x, masks[1])
        return self.out(x)


class CNNA(ConvNet):
    """CNN-A: two convolutions 3×3 of 32 and 64 filters."""

    kernels = ((32, 3), (64, 3))


class CNNB(ConvNet):
    """CNN-B: four convolutions, 4×4 of 32 and 48 filters, 3×3 and 2×2 of 64."""

    kernels = ((32, 4), (48, 4), (64, 3), (64, 2))


class Residual(nn.Module):
    """Two 3×3 convolutions, the first of stride `stride`, added to their input, which a 1×1 convolution fits where shapes differ."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = Norm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = Norm2d(after)
        fit = (nn.Conv2d(before, after, 1, stride, bias=False), Norm2d(after))
        self.shortcut = nn.Sequential(*(fit if stride > 1 or before != after else ()))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet18 with the stem for small images: a 3×3 convolution of stride 1, four stages of two blocks, a mean over the places."""

    dropout: DropoutSites = ()
    widths: tuple[int, ...] = (64, 128, 256, 512)

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 2:
            raise ConfigError(f"a residual network needs images of 2×2 at least, the examples have shape {shape}", "use fc-a or fc-b")
        self.conv = nn.Conv2d(shape[0], self.widths[0], 3, padding=1, bias=False)
        self.norm = Norm2d(self.widths[0])
        blocks, before = [], self.widths[0]
        for stage, width in enumerate(self.widths):
            blocks += [Residual(before, width, 2 if stage else 1), Residual(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(before, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        return self.out(self.blocks(F.relu(self.norm(self.conv(x)))).mean((-2, -1)))


NETWORKS: dict[str, Callable[[Shape, int], nn.Module]] = {"fc-a": FCA, "fc-b": FCB, "cnn-a": CNNA, "cnn-b": CNNB, "resnet18": ResNet18}
