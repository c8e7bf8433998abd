"""What training sees of a data set: three splits of tensors and how to read them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nftlab.data.sparse import SparseRows
from nftlab.errors import UsageError


@dataclass(frozen=True)
class Split:
    """Examples and their labels: `x` (n, *shape) uint8 or float32, `y` (n,) int64."""

    x: Tensor | SparseRows
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        return Split(self.x.to(device), self.y.to(device))

    def part(self, share: float) -> Split:
        """max(1, round(share · n)) of its rows: the first, or evenly spaced ones where rows are ordered by class."""
        count = max(1, round(share * len(self)))
        if not (self.y.diff() >= 0).all():
            x = self.x.between(0, count) if isinstance(self.x, SparseRows) else self.x[:count]
            return Split(x, self.y[:count])
        rows = torch.arange(count, device=self.y.device) * len(self) // count
        return Split(self.x.select(rows) if isinstance(self.x, SparseRows) else self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Task:
    """A data set ready to train on.

    `shape` is that of one example, (channels, height, width) or (features,). Networks see `x.float() * scale`.
    `source` says where the examples come from ("official", "embedded", "made from MNIST, seed 0"; "a part: …" of fewer than
    were published) and `sha256` is `digest` of the splits: equal hashes are equal examples in equal order.
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

    def part(self, share: float) -> Task:
        """The task with a share (above 0, at most 1) of every split's rows, which its source says: "official, 5 % of its rows".

        Which rows, `Split.part` says. Raises UsageError for another share.
        """
        if not 0 < share <= 1:
            raise UsageError(f"a share of {share!r} of {self.name}: above 0 and at most 1 expected")
        if share == 1:
            return self
        train, valid, test = (split.part(share) for split in (self.train, self.valid, self.test))
        source = f"{self.source}, {100 * share:g} % of its rows"
        return replace(self, train=train, valid=valid, test=test, source=source, sha256=digest(train, valid, test))


def cut(x: np.ndarray | SparseRows, y: np.ndarray, counts: tuple[int, int, int]) -> tuple[Split, Split, Split]:
    """Consecutive rows as training, validation and test split, sharing memory with the arrays."""
    bounds = np.cumsum(counts).tolist()
    starts = (0, *bounds[:-1])
    rows = (x.between(a, b) if isinstance(x, SparseRows) else torch.from_numpy(x[a:b]) for a, b in zip(starts, bounds, strict=True))
    first, second, third = (Split(part, torch.from_numpy(y[a:b])) for part, a, b in zip(rows, starts, bounds, strict=True))
    return first, second, third


def digest(*splits: Split) -> str:
    """SHA-256 (hex) over type, shape and bytes of every split's examples and labels, in order."""
    content = hashlib.sha256()
    for split in splits:
        for tensor in _tensors(split):
            content.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            content.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return content.hexdigest()


def _tensors(split: Split) -> Iterator[Tensor]:
    """What a split is made of, in the order of its digest."""
    if isinstance(split.x, SparseRows):
        yield from (split.x.starts, split.x.columns, split.x.values)
    else:
        yield split.x
    yield split.y
