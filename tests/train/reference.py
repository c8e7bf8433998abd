"""Classic and neural friendly training as plain modules, torch.optim.Adam and straight loops.

An independent reading of the methods' specification: nothing here comes from nftlab. Initial weights, the order of
examples and the dropout masks are handed in as tensors; parameters are loaded by position.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

Batches = Sequence[Tensor]  # row numbers of each batch of one pass
Masks = Sequence[Sequence[Tensor]]  # of each batch of one pass


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


def adam(module: nn.Module, lr: float, weight_decay: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=lr, weight_decay=weight_decay)


def classic(
    net: nn.Module, x: Tensor, y: Tensor, orders: Sequence[Batches], masks: Sequence[Masks], lr: float, weight_decay: float
) -> None:
    """Epochs of classic training."""
    optimiser = adam(net, lr, weight_decay)
    net.train()
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            drop(net, masks[epoch][step])
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()


def paper(
    net: nn.Module,
    aux: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    learn: tuple[Sequence[Batches], Sequence[Masks]],
    simplify: Sequence[Batches],
    total_epochs: int,
    ratio: float,
    eta_max: float,
    lr: float,
    lr_simp: float,
    weight_decay: float,
    wd_simp: float,
) -> None:
    """The algorithm as printed: the auxiliary net first, then the classifier; identity in the first epoch."""
    net_optimiser, aux_optimiser = adam(net, lr, weight_decay), adam(aux, lr_simp, wd_simp)
    last = int(ratio * total_epochs)
    orders, masks = learn
    for gamma in range(1, len(orders) + 1):
        simple = 1 < gamma <= last
        if simple:
            eta = eta_max * (1 - max(1 - (gamma - 1) / (last - 1), 0) ** 2)
            net.eval()
            aux.train()
            drop(net, None)
            for rows in simplify[gamma - 1]:
                aux_optimiser.zero_grad()
                shown = aux(x[rows], y[rows])
                norms = ((shown - x[rows]) ** 2).sum(dim=(1, 2, 3))
                (F.cross_entropy(net(shown), y[rows], reduction="none") + eta * norms).mean().backward()
                aux_optimiser.step()
        net.train()
        for step, rows in enumerate(orders[gamma - 1]):
            drop(net, masks[gamma - 1][step])
            net_optimiser.zero_grad()
            shown = aux(x[rows], y[rows]).detach() if simple else x[rows]
            F.cross_entropy(net(shown), y[rows]).backward()
            net_optimiser.step()


def code(
    net: nn.Module,
    aux: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    learn: tuple[Sequence[Batches], Sequence[Masks]],
    simplify: tuple[Sequence[Batches], Sequence[Masks]],
    total_epochs: int,
    ratio: float,
    eta_max: float,
    lr: float,
    lr_simp: float,
    weight_decay: float,
    wd_simp: float,
) -> None:
    """The algorithm as published in code: strength falls step by step, classifier first, mean squared error added twice."""
    net_optimiser, aux_optimiser = adam(net, lr, weight_decay), adam(aux, lr_simp, wd_simp)
    orders, masks = learn
    end = int(ratio * total_epochs * len(orders[0]))
    t, mse = 0, nn.MSELoss()
    net.train()
    aux.train()
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            strength = max(1 - t / end, 0) ** 2 if end else 0
            drop(net, masks[epoch][step])
            net_optimiser.zero_grad()
            aux_optimiser.zero_grad()
            F.cross_entropy(net(aux(x[rows], y[rows]) if strength > 0 else x[rows]), y[rows]).backward()
            net_optimiser.step()
            t += 1
        if strength > 0:
            for step, rows in enumerate(simplify[0][epoch]):
                drop(net, simplify[1][epoch][step])
                net_optimiser.zero_grad()
                aux_optimiser.zero_grad()
                shown = aux(x[rows], y[rows])
                loss = F.cross_entropy(net(shown), y[rows]) + eta_max * (1 - strength) * mse(shown, x[rows])
                loss = loss + eta_max * (1 - strength) * mse(shown, x[rows])
                loss.backward()
                aux_optimiser.step()
