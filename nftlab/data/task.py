"""What training sees of a data set: three splits of tensors and how to read them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Examples and their labels: `x` (n, *shape) uint8 or float32, `y` (n,) int64."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class Task:
    """A data set ready to train on.

    `shape` is that of one example, (channels, height, width) or (features,). Networks see `x.float() * scale`.
    `source` says where the examples come from ("official", "embedded", "made from MNIST, seed 0") and `sha256`
    is `digest` of the splits: equal hashes are equal examples in equal order.
    """

    name: str
    shape: tuple[int, ...]
    classes: int
    train: Split
    valid: Split
    test: Split
    scale: float
    source: str
    sha256: str

    def to(self, device: torch.device | str) -> Task:
        """The same task with its tensors on another device."""
        return replace(self, train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device))


def cut(x: np.ndarray, y: np.ndarray, counts: tuple[int, int, int]) -> tuple[Split, Split, Split]:
    """Consecutive rows as training, validation and test split, sharing memory with the arrays."""
    bounds = np.cumsum(counts)
    starts = (0, *bounds[:-1])
    first, second, third = (Split(torch.from_numpy(x[a:b]), torch.from_numpy(y[a:b])) for a, b in zip(starts, bounds, strict=True))
    return first, second, third


def digest(*splits: Split) -> str:
    """SHA-256 (hex) over type, shape and bytes of every split's examples and labels, in order."""
    content = hashlib.sha256()
    for split in splits:
        for tensor in (split.x, split.y):
            content.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            content.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return content.hexdigest()
