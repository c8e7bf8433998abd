"""The classifiers, by the names that sweep files have for them; here those of the NFT paper (Marullo et al., AAAI 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from nftlab.errors import ConfigError
from nftlab.train import cifar_nets as cifar
from nftlab.train.layers import DropoutSites, LinearBeforeNorm, NarrowLinear, Norm1d, Norm2d, Shape, channels_of, dropped


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
        self.conv = nn.Conv2d(channels_of(shape, 2), self.widths[0], 3, padding=1, bias=False)
        self.norm = Norm2d(self.widths[0])
        blocks, before = [], self.widths[0]
        for stage, width in enumerate(self.widths):
            blocks += [Residual(before, width, 2 if stage else 1), Residual(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(before, outputs)

    def forward(self, x: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        return self.out(self.blocks(F.relu(self.norm(self.conv(x)))).mean((-2, -1)))


NETWORKS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "fc-a": FCA,
    "fc-b": FCB,
    "cnn-a": CNNA,
    "cnn-b": CNNB,
    "resnet18": ResNet18,
    "lenet": cifar.LeNet,
    "vgg13": cifar.VGG13,
    "vgg16": cifar.VGG16,
    "vgg19": cifar.VGG19,
    "thin-resnet18": cifar.ThinResNet18,
    "thin-resnet34": cifar.ThinResNet34,
    "thin-resnet50": cifar.ThinResNet50,
    "wrn10": cifar.WRN10,
    "wrn16": cifar.WRN16,
    "wrn22": cifar.WRN22,
}
