"""The second networks of neural friendly training (Marullo et al., AAAI 2022): they map an example to a simpler one of its shape.

Their `forward(x, y)` takes examples and labels; the labels enter as one-hot planes (images) or features (vectors)
when `labels`, the number of entries of that one-hot code, is not 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nftlab.errors import ConfigError
from nftlab.methods.base import mapped
from nftlab.train.layers import ConvBeforeNorm, DropoutSites, Norm2d, Shape


class DoubleConv(nn.Sequential):
    """Twice 3×3 convolution → BatchNorm → ReLU; a `linear` one ends with its second convolution."""

    def __init__(self, before: int, between: int, after: int, *, linear: bool = False) -> None:
        start = [ConvBeforeNorm(before, between, 3, padding=1), Norm2d(between), nn.ReLU()]
        if linear:
            super().__init__(*start, nn.Conv2d(between, after, 3, padding=1))
        else:
            super().__init__(*start, ConvBeforeNorm(between, after, 3, padding=1), Norm2d(after), nn.ReLU())


class UNet(nn.Module):
    """U-Net of `nu` levels (1 or 2) and `n_f` filters at the first; `linear` drops the last BatchNorm and ReLU."""

    dropout: DropoutSites = ()

    def __init__(self, shape: Shape, labels: int, *, n_f: int, nu: int, linear: bool) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 2**nu:
            raise ConfigError(f"a U-Net of {nu} levels cannot take examples of shape {shape}", "use simplifier fc")
        self.labels, channels = labels, shape[0]
        inner = n_f * nu  # filters below the first level: n_f of one level, 2·n_f of two
        self.first = DoubleConv(channels + labels, n_f, n_f)
        self.down = nn.ModuleList([DoubleConv(n_f, inner, inner), *(DoubleConv(inner, inner, inner) for _ in range(nu - 1))])
        ups = [DoubleConv(2 * inner, inner, n_f)] if nu == 2 else []
        self.up = nn.ModuleList([*ups, DoubleConv(2 * n_f, n_f, channels, linear=linear)])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if self.labels:
            planes = F.one_hot(y, self.labels).to(x.dtype)[:, :, None, None]
            x = torch.cat([x, planes.expand(-1, -1, x.shape[-2], x.shape[-1])], 1)
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up in self.up:
            skip = levels.pop()
            x = doubled(x)
            high, wide = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
            if high or wide:  # a side was odd: pooling rounded it down
                x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
            x = up(torch.cat([skip, x], 1))
        return x


def doubled(x: Tensor) -> Tensor:
    """Images (b, c, h, w) of twice the sides, bilinear, corners on corners.

    On a GPU by products: torch's own kernels there take a thread per pixel, slow on small images, and add in no fixed order.
    """
    return by_products(x) if x.is_cuda else F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def by_products(x: Tensor) -> Tensor:
    """The same as two matrix products, in the layout that x has."""
    high, wide = (_between(side, x.device, x.dtype) for side in x.shape[-2:])
    if mapped(x) or not x.is_contiguous(memory_format=torch.channels_last):
        return high @ (x @ wide.mT)
    rows = wide @ x.permute(0, 2, 3, 1)  # (b, h, 2w, c), as they lie in memory
    return (high @ rows.flatten(2)).view(len(x), len(high), len(wide), -1).permute(0, 3, 1, 2)


@cache
def _between(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(2·side, side): the weights of linear interpolation with the ends on the ends.

    The last thing done is the copy to the device, which is waited for: streams that know nothing of each other use it.
    """
    rows = F.interpolate(torch.eye(side, dtype=torch.float64)[None], size=2 * side, mode="linear", align_corners=True)
    return rows[0].mT.to(dtype).contiguous().to(device)


class FC256(nn.Module):
    """One hidden layer of 256 ReLU units, linear output; images are flattened and given their shape back."""

    dropout: DropoutSites = ()

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.hidden = nn.Linear(prod(shape) + labels, 256)
        self.out = nn.Linear(256, prod(shape))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        seen = x.flatten(1)
        if self.labels:
            seen = torch.cat([seen, F.one_hot(y, self.labels).to(x.dtype)], 1)
        return self.out(F.relu(self.hidden(seen))).view_as(x)


def _unet(shape: Shape, labels: int, h: Any) -> nn.Module:
    return UNet(shape, labels if h.label_conditioning else 0, n_f=h.n_f, nu=h.nu, linear=h.aux_output == "linear")


def _fc(shape: Shape, labels: int, h: Any) -> nn.Module:
    return FC256(shape, labels if h.label_conditioning else 0)


# Networks that methods ask for by name: built from the shape of an example, the number of label entries and the static fields.
SIMPLIFIERS: dict[str, Callable[[Shape, int, Any], nn.Module]] = {"unet": _unet, "fc": _fc}
