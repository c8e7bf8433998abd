"""The networks of the data fine-pruning paper (Li et al., NPC 2018), whose families and sizes are inferred (docs/papers/fine-pruning.md).

Made for images of 32×32; others fit where pooling leaves something. Initial weights are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from nftlab.train.layers import ConvBeforeNorm, DropoutSites, Norm2d, Shape, channels_of, dropped


class LeNet(nn.Module):
    """Two valid convolutions 5×5 of 6 and 16 filters, each with ReLU and 2×2 max pooling; 120 and 84 ReLU units; logits."""

    dropout: DropoutSites = ()

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels_of(shape, 16), 6, 5), nn.Conv2d(6, 16, 5)
        sides = [((side - 4) // 2 - 4) // 2 for side in shape[1:]]
        self.hidden1, self.hidden2 = nn.Linear(16 * prod(sides), 120), nn.Linear(120, 84)
        self.out = nn.Linear(84, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.relu(F.max_pool2d(conv(x), 2))
        return self.out(F.relu(self.hidden2(F.relu(self.hidden1(x.flatten(1))))))


class VGG(nn.Module):
    """Five stages of 3×3 convolutions, each with BatchNorm and ReLU, 2×2 max pooling after each stage, a mean over what places are left."""

    dropout: DropoutSites = ()
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    depths: ClassVar[tuple[int, ...]]

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        before, stages = channels_of(shape, 2), []
        for width, depth in zip(self.widths, self.depths, strict=True):
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += [ConvBeforeNorm(before, width, 3, padding=1), Norm2d(width), nn.ReLU()]
                before = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.out = nn.Linear(before, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        for stage in self.stages:
            x = stage(x)
            if min(x.shape[-2:]) > 1:
                x = F.max_pool2d(x, 2)
        return self.out(x.mean((-2, -1)))


class VGG13(VGG):
    """VGG13 with BatchNorm."""

    depths = (2, 2, 2, 2, 2)


class VGG16(VGG):
    """VGG16 with BatchNorm."""

    depths = (2, 2, 3, 3, 3)


class VGG19(VGG):
    """VGG19 with BatchNorm."""

    depths = (2, 2, 4, 4, 4)


class ThinBlock(nn.Module):
    """Convolutions (filters, size, stride) with BatchNorm, added to their input, which a 1×1 convolution fits where shapes differ."""

    def __init__(self, before: int, kernels: Sequence[tuple[int, int, int]], stride: int) -> None:
        super().__init__()
        widths = [before, *(filters for filters, _, _ in kernels)]
        self.convs = nn.ModuleList(
            ConvBeforeNorm(a, b, size, step, padding=size // 2) for (a, b), (_, size, step) in zip(pairwise(widths), kernels, strict=True)
        )
        self.norms = nn.ModuleList(Norm2d(filters) for filters, _, _ in kernels)
        after = widths[-1]
        fit = (ConvBeforeNorm(before, after, 1, stride), Norm2d(after))
        self.shortcut = nn.Sequential(*(fit if stride > 1 or before != after else ()))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = norm(conv(F.relu(out) if i else out))
        return F.relu(out + self.shortcut(x))


class ThinResNet(nn.Module):
    """A residual network of three stages of 16, 32 and 64 filters: the first three of the block counts that ImageNet's have."""

    dropout: DropoutSites = ()
    widths: tuple[int, ...] = (16, 32, 64)
    depths: ClassVar[tuple[int, ...]]
    bottleneck: ClassVar[bool] = False

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        before, blocks = self.widths[0], []
        self.conv = ConvBeforeNorm(channels_of(shape, 4), before, 3, padding=1)
        self.norm = Norm2d(before)
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            for number in range(depth):
                stride = 2 if stage and not number else 1
                kernels = [(width, 3, stride), (width, 3, 1)]
                if self.bottleneck:
                    kernels = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
                blocks.append(ThinBlock(before, kernels, stride))
                before = kernels[-1][0]
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(before, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        return self.out(self.blocks(F.relu(self.norm(self.conv(x)))).mean((-2, -1)))


class ThinResNet18(ThinResNet):
    """A thin ResNet of two blocks a stage."""

    depths = (2, 2, 2)


class ThinResNet34(ThinResNet):
    """A thin ResNet of three, four and six blocks."""

    depths = (3, 4, 6)


class ThinResNet50(ThinResNet):
    """A thin ResNet of three, four and six blocks of three convolutions, the last of four times as many filters."""

    depths = (3, 4, 6)
    bottleneck = True


class WideBlock(nn.Module):
    """BatchNorm, ReLU and a 3×3 convolution, twice, dropout between, the second of stride `stride`; added to the input."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = Norm2d(before), nn.Conv2d(before, after, 3, padding=1)
        # what these two add to a channel the next block's BatchNorm subtracts; the first one's bias is dropped out before its own
        self.norm2, self.conv2 = Norm2d(after), ConvBeforeNorm(after, after, 3, stride, padding=1)
        self.shortcut = nn.Sequential(*([ConvBeforeNorm(before, after, 1, stride)] if stride > 1 or before != after else []))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        if mask is not None:
            out = dropped(out, mask)
        return self.conv2(F.relu(self.norm2(out))) + self.shortcut(x)


class WideResNet(nn.Module):
    """A wide residual network (Zagoruyko, Komodakis, BMVC 2016): three stages of `depth` blocks, ten times 16, 32 and 64 filters."""

    widths: tuple[int, ...] = (160, 320, 640)
    depth: ClassVar[int]
    rate: ClassVar[float] = 77 / 256  # of dropout: 0.3, as a multiple of 1/256

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        before, sides, sites = 16, list(shape[1:]), []
        self.conv = ConvBeforeNorm(channels_of(shape, 4), before, 3, padding=1)
        self.blocks = nn.ModuleList()
        for stage, width in enumerate(self.widths):
            for number in range(self.depth):
                stride = 2 if stage and not number else 1
                sites.append(((width, *sides), self.rate))
                self.blocks.append(WideBlock(before, width, stride))
                before, sides = width, [-(-side // stride) for side in sides]
        self.norm = Norm2d(before)
        self.norm.momentum = 0.9  # of the newest batch, in the running statistics
        self.out = nn.Linear(before, outputs)
        self.dropout: DropoutSites = tuple(sites)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        x = self.conv(x)
        for number, block in enumerate(self.blocks):
            x = block(x, masks[number] if masks else None)
        return self.out(F.relu(self.norm(x)).mean((-2, -1)))


class WRN10(WideResNet):
    """A wide ResNet of one block a stage."""

    depth = 1


class WRN16(WideResNet):
    """A wide ResNet of two blocks a stage."""

    depth = 2


class WRN22(WideResNet):
    """A wide ResNet of three blocks a stage."""

    depth = 3
