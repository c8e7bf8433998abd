"""Batches: which examples, in which order, and the random numbers that go with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TypeVar

import torch
from torch import Tensor

from nftlab.data.task import Split
from nftlab.train.augment import crop_flip
from nftlab.train.layers import DropoutSites
from nftlab.train.memory import ran_out
from nftlab.train.net import channels_last
from nftlab.train.rng import generator, keys, starts, words, words_from

# Examples evaluated at once, over all lanes of a pack. On a CPU what stays in memory that the allocator keeps: more is no faster.
EVAL_BATCH, EVAL_BATCH_CUDA = 128, 8192

Chunk = TypeVar("Chunk")
Batch = tuple[Tensor, Tensor, tuple[Tensor, ...]]


def seen(x: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    """Examples as networks see them."""
    if scale == 1 or dtype != torch.float32:
        x = x.to(dtype)
    return x if scale == 1 else x * scale  # bytes times a number are float32: one pass over memory less


def in_chunks(work: Callable[[slice], Chunk], n: int, like: Tensor) -> Iterator[Chunk]:
    """What `work` makes of n examples piece by piece.

    How many at once depends on the device and the lanes of a tensor (...) or (K, ...); where memory is short, half as many.
    """
    size = EVAL_BATCH if like.is_cpu else max(EVAL_BATCH, EVAL_BATCH_CUDA // (len(like) if like.dim() > 1 else 1))
    start = 0
    while start < n:
        try:
            done = work(slice(start, min(start + size, n)))
        except RuntimeError as error:
            if size == 1 or not ran_out(error):
                raise
            size //= 2
            continue
        yield done
        start += size


def orders(n: int, seeds: list[int], epochs: list[int], stream: str, device: torch.device) -> Tensor:
    """The examples as each lane draws them, (K, n); a single lane's (n,)."""
    who = zip(seeds, epochs, strict=True)
    drawn = [torch.randperm(n, generator=generator(seed, f"{stream}order", epoch)) for seed, epoch in who]
    return (torch.stack(drawn) if len(drawn) > 1 else drawn[0]).to(device)


class Feed:
    """The batches of one pass, for one lane (x (b, …)) or K lanes (x (K, b, …)).

    Order, masks and augmentation of a lane depend on its seed, the pass's stream and the epoch alone. Masks come as 0 or
    1 / (1 − rate), drawn as bytes: exact for rates that are multiples of 1/256, as all here are. `labels` (n,) or (K, n)
    take the place of the split's; `rows` (m,) or (K, m) of the drawn order.
    """

    def __init__(
        self,
        split: Split,
        seeds: list[int],
        epochs: list[int],
        stream: str,
        sites: DropoutSites,
        *,
        labels: Tensor | None = None,
        rows: Tensor | None = None,
        augment: bool = False,
    ) -> None:
        device = split.y.device
        self._x, self._sites = split.x, sites
        self._rows = orders(len(split), seeds, epochs, stream, device) if rows is None else rows
        labels = split.y if labels is None else labels
        self._labels = labels.expand(*self._rows.shape[:-1], -1)
        self._sizes = [prod(shape) for shape, _ in sites]
        self._augment = keys(seeds, f"{stream}augment", epochs, device) if augment else None
        count = (sum(self._sizes) + 7) // 8  # words of one example, eight bytes each
        self._noise = starts(keys(seeds, f"{stream}dropout", epochs, device), count) if sites else None

    def inputs(self) -> list[Tensor]:
        """The tensors that another feed of the same kind may differ in."""
        own = [self._rows, self._labels, self._augment, self._noise]
        return [tensor for tensor in own if tensor is not None]

    def rows(self, places: Tensor) -> Tensor:
        """Which examples of the set stand at `places` (b,) of the order: (b,) or (K, b)."""
        return self._rows.index_select(-1, places)

    def batch(self, places: Tensor, scale: float, dtype: torch.dtype) -> Batch:
        """(x, y, masks) of the examples at `places` (b,) of the order, as networks want them."""
        x, y, masks = self.drawn(places, scale, dtype)
        return channels_last(x) if y.dim() == 1 else x, y, masks

    def drawn(self, places: Tensor, scale: float, dtype: torch.dtype) -> Batch:
        """The same, images channels first."""
        rows = self.rows(places)
        # index_select copies whole rows; indexing with a matrix of rows is ten times slower
        x = self._x.index_select(0, rows.flatten()).view(*rows.shape, *self._x.shape[1:])
        if self._augment is not None:
            x = crop_flip(x, words(self._augment, places))
        return seen(x, scale, dtype), self._labels.gather(-1, rows), self._masks(places, dtype)

    def _masks(self, places: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        if self._noise is None:
            return ()
        noise = words_from(self._noise, places).view(torch.uint8)
        pieces = noise.split([*self._sizes, noise.shape[-1] - sum(self._sizes)], -1)
        return tuple(
            (piece >= round(256 * rate)).to(dtype).mul_(1 / (1 - rate)).view(*piece.shape[:-1], *shape)
            for piece, (shape, rate) in zip(pieces, self._sites, strict=False)
        )
