"""The networks as plain modules, for reference.py: nothing here comes from nftlab either."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Dropped(nn.Module):
    """Multiplies by the next of the masks it was given; without masks it is the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.mask is None else x * self.mask


def fc_a(inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 10), nn.Tanh(), nn.Linear(10, classes))


def fc_b(inputs: int, classes: int, widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def cnn(convs: Sequence[tuple[int, int]], channels: int, side: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for filters, size in convs:
        layers += [nn.Conv2d(channels, filters, size), nn.ReLU()]
        channels, side = filters, side - size + 1
    layers += [nn.MaxPool2d(2), Dropped(), nn.Flatten(), nn.Linear(channels * (side // 2) ** 2, 128), nn.ReLU(), Dropped()]
    return nn.Sequential(*layers, nn.Linear(128, classes))


def double_conv(a: int, m: int, b: int, last: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(a, m, 3, padding=1), nn.BatchNorm2d(m), nn.ReLU(), nn.Conv2d(m, b, 3, padding=1)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(b), nn.ReLU()] if last else []))


class UNet(nn.Module):
    """Two shapes written out: one level (nu = 1) and two (nu = 2)."""

    def __init__(self, channels: int, labels: int, n_f: int, nu: int, bn_relu: bool) -> None:
        super().__init__()
        self.labels, self.nu = labels, nu
        self.inc = double_conv(channels + labels, n_f, n_f)
        if nu == 1:
            self.down1 = double_conv(n_f, n_f, n_f)
            self.up2 = double_conv(2 * n_f, n_f, channels, bn_relu)
        else:
            self.down1 = double_conv(n_f, 2 * n_f, 2 * n_f)
            self.down2 = double_conv(2 * n_f, 2 * n_f, 2 * n_f)
            self.up1 = double_conv(4 * n_f, 2 * n_f, n_f)
            self.up2 = double_conv(2 * n_f, n_f, channels, bn_relu)

    @staticmethod
    def _join(skip: Tensor, low: Tensor) -> Tensor:
        low = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(low)
        dy, dx = skip.size(2) - low.size(2), skip.size(3) - low.size(3)
        return torch.cat([skip, F.pad(low, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])], dim=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if self.labels:
            planes = torch.zeros(len(x), self.labels, x.size(2), x.size(3), dtype=x.dtype)
            planes[torch.arange(len(x)), y] = 1
            x = torch.cat([x, planes], dim=1)
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        if self.nu == 1:
            return self.up2(self._join(x1, x2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        return self.up2(self._join(x1, self.up1(self._join(x2, x3))))


class Block(nn.Module):
    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.c2, self.n2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.short = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)) if stride == 2 else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.short(x))


def resnet18(channels: int, classes: int, widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, width in zip([widths[0], *widths], widths, strict=False):
        layers += [Block(before, width, 1 if width == before else 2), Block(width, width, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))


def lenet(channels: int, side: int, classes: int) -> nn.Module:
    places = ((side - 4) // 2 - 4) // 2
    convs = [nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*convs, nn.Linear(16 * places**2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes))


def vgg(channels: int, classes: int, widths: Sequence[int], depths: Sequence[int]) -> nn.Module:
    """For images of 32×32: five times halved, one place is left."""
    layers: list[nn.Module] = []
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, classes))


class Thin(nn.Module):
    """A residual block, basic or with a bottleneck; all its convolutions have biases."""

    def __init__(self, a: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        b = 4 * width if bottleneck else width
        if bottleneck:
            self.convs = nn.ModuleList([nn.Conv2d(a, width, 1), nn.Conv2d(width, width, 3, stride, 1), nn.Conv2d(width, b, 1)])
        else:
            self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, stride, 1), nn.Conv2d(b, b, 3, 1, 1)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(conv.out_channels) for conv in self.convs])  # type: ignore[arg-type]
        self.short = nn.Sequential(nn.Conv2d(a, b, 1, stride), nn.BatchNorm2d(b)) if stride > 1 or a != b else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = self.norms[0](self.convs[0](x))
        for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):  # type: ignore[call-overload]
            out = norm(conv(F.relu(out)))
        return F.relu(out + self.short(x))


def thin_resnet(channels: int, classes: int, widths: Sequence[int], depths: Sequence[int], bottleneck: bool) -> nn.Module:
    a = widths[0]
    layers: list[nn.Module] = [nn.Conv2d(channels, a, 3, 1, 1), nn.BatchNorm2d(a), nn.ReLU()]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            layers.append(Thin(a, width, 2 if stage > 0 and block == 0 else 1, bottleneck))
            a = 4 * width if bottleneck else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(a, classes))


class Wide(nn.Module):
    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.n1, self.c1, self.drop = nn.BatchNorm2d(a), nn.Conv2d(a, b, 3, 1, 1), Dropped()
        self.n2, self.c2 = nn.BatchNorm2d(b), nn.Conv2d(b, b, 3, stride, 1)
        self.short = nn.Conv2d(a, b, 1, stride) if stride > 1 or a != b else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        return self.c2(F.relu(self.n2(self.drop(self.c1(F.relu(self.n1(x))))))) + self.short(x)


def wide_resnet(channels: int, classes: int, widths: Sequence[int], depth: int) -> nn.Module:
    a, layers = 16, [nn.Conv2d(channels, 16, 3, 1, 1)]
    blocks: list[nn.Module] = []
    for stage, width in enumerate(widths):
        for block in range(depth):
            blocks.append(Wide(a, width, 2 if stage > 0 and block == 0 else 1))
            a = width
    end = [nn.BatchNorm2d(a, momentum=0.9), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(a, classes)]
    return nn.Sequential(*layers, *blocks, *end)


def load(module: nn.Module, parameters: Sequence[Tensor]) -> None:
    """Initial values, by position."""
    own = list(module.parameters())
    assert [p.shape for p in own] == [p.shape for p in parameters]
    with torch.no_grad():
        for p, value in zip(own, parameters, strict=True):
            p.copy_(value)


def drop(classifier: nn.Module, masks: Sequence[Tensor] | None) -> None:
    """Hand a batch's masks to the dropout layers, or none."""
    for i, layer in enumerate(m for m in classifier.modules() if isinstance(m, Dropped)):
        layer.mask = masks[i] if masks else None
