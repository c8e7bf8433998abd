"""The other side of the comparison: training done step by step as the published scripts do it.

Written from the methods' specification with torch's own parts and nothing from nftlab: one example at a time through a
DataLoader, plain modules, `torch.optim.Adam`, a simplifier also for classic training, the mode set and both
optimisers zeroed at every step, gradients of both networks in both phases, loss and error read at every step, validation
and test set evaluated after every epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

BATCH, EVAL_BATCH = 32, 512


class Examples(Dataset[tuple[Tensor, Tensor]]):
    """Examples (n, …) float32 and labels, handed out one by one."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.x[i], self.y[i]


def fc_a(shape: tuple[int, ...]) -> nn.Module:
    size = torch.Size(shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 10), nn.Tanh(), nn.Linear(10, 10))


def fc_b(shape: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in pairwise((torch.Size(shape).numel(), 2500, 2000, 1500, 1000, 500)):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(500, 10))


def cnn(*convs: tuple[int, int]) -> Callable[[tuple[int, ...]], nn.Module]:
    def build(shape: tuple[int, ...]) -> nn.Module:
        channels, side = shape[0], shape[1]
        layers: list[nn.Module] = []
        for filters, size in convs:
            layers += [nn.Conv2d(channels, filters, size), nn.ReLU()]
            channels, side = filters, side - size + 1
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(), nn.Linear(channels * (side // 2) ** 2, 128), nn.ReLU()]
        return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(128, 10))

    return build


class Block(nn.Module):
    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        )
        self.fit = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.fit(x))


def resnet18(shape: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(shape[0], 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for a, b in pairwise((64, 64, 128, 256, 512)):
        layers += [Block(a, b, 1 if a == b else 2), Block(b, b, 1)]
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 10))


NETWORKS = {
    "fc-a": fc_a,
    "fc-b": fc_b,
    "cnn-a": cnn((32, 3), (64, 3)),
    "cnn-b": cnn((32, 4), (48, 4), (64, 3), (64, 2)),
    "resnet18": resnet18,
}


def double(a: int, m: int, b: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, m, 3, padding=1), nn.BatchNorm2d(m), nn.ReLU(), nn.Conv2d(m, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()
    )


class UNet(nn.Module):
    """Two levels, 64 filters."""

    def __init__(self, channels: int, n: int = 64) -> None:
        super().__init__()
        self.inc, self.down1, self.down2 = double(channels, n, n), double(n, 2 * n, 2 * n), double(2 * n, 2 * n, 2 * n)
        self.up1, self.up2 = double(4 * n, 2 * n, n), double(2 * n, n, channels)
        self.pool, self.grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x3 = self.down2(self.pool(x2))
        x = self.up1(torch.cat([x2, self.grow(x3)], 1))
        return self.up2(torch.cat([x1, self.grow(x)], 1))


@dataclass
class Trainer:
    """One run: `learn`, `simplify` and `evaluate` do what one pass or part of it costs; `steps` cuts them short."""

    network: str
    shape: tuple[int, ...]
    device: str

    def __post_init__(self) -> None:
        self.classifier = NETWORKS[self.network](self.shape).to(self.device).train()
        self.simplifier = UNet(self.shape[0]).to(self.device).train()
        nets = [self.classifier, self.simplifier]
        self.optimisers = [torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-4) for net in nets]

    def learn(self, data: Dataset[tuple[Tensor, Tensor]], strength: float, steps: int | None = None) -> tuple[float, float]:
        """The classifier's phase of an epoch; returns the sums of losses and of correct answers."""
        total, right = 0.0, 0.0
        for x, y in self._batches(data, steps):
            self.classifier.train()
            out = self.classifier(self.simplifier(x) if strength > 0 else x)
            loss = F.cross_entropy(out, y)
            self._step(loss, 0)
            total += loss.item()
            right += (out.argmax(1) == y).sum().item()
        return total, right

    def simplify(self, data: Dataset[tuple[Tensor, Tensor]], strength: float, steps: int | None = None) -> float:
        """The simplifier's phase of an epoch."""
        total = 0.0
        for x, y in self._batches(data, steps):
            shown = self.simplifier(x)
            loss = F.cross_entropy(self.classifier(shown), y)
            loss = loss + 2 * 1000 * (1 - strength) * F.mse_loss(shown, x)
            self._step(loss, 1)
            total += loss.item()
        return total

    @torch.no_grad()
    def evaluate(self, data: Dataset[tuple[Tensor, Tensor]]) -> float:
        """Accuracy on a data set."""
        self.classifier.eval()
        right = 0
        for x, y in DataLoader(data, batch_size=EVAL_BATCH):
            right += (self.classifier(x.to(self.device)).argmax(1) == y.to(self.device)).sum().item()
        self.classifier.train()
        return right / len(data)  # type: ignore[arg-type]

    def _batches(self, data: Dataset[tuple[Tensor, Tensor]], steps: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        for i, (x, y) in enumerate(DataLoader(data, batch_size=BATCH, shuffle=True)):
            if i == steps:
                return
            yield x.to(self.device), y.to(self.device)

    def _step(self, loss: Tensor, which: int) -> None:
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        self.optimisers[which].step()


def job(
    network: str, shape: tuple[int, ...], splits: tuple[Examples, Examples, Examples], epochs: int, simplified: int, device: str
) -> float:
    """Seconds of a whole run of `epochs`, the first `simplified` of them on simplified data."""
    train, valid, test = splits
    start = time.perf_counter()
    run = Trainer(network, shape, device)
    for epoch in range(epochs):
        strength = max(1 - (epoch + 1) / max(1, simplified), 0.0) ** 2
        run.learn(train, strength if epoch + 1 < simplified else float(epoch < simplified))
        if epoch < simplified:
            run.simplify(train, strength)
        run.evaluate(valid)
        run.evaluate(test)
    return time.perf_counter() - start
