"""Examples that are mostly zeros: kept sparse, dense one batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SparseRows:
    """A matrix (n, width) float32 by rows, which answers what training asks of a tensor of examples.

    Row i holds `values[starts[i]:starts[i + 1]]` in the `columns` of the same places; no row is without an entry. `starts`
    (n + 1,) int64, `columns` int32 and `values` float32 are on one device. `longest` is how many entries the longest row has.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    width: int
    longest: int

    @classmethod
    def of(cls, starts: Tensor, columns: Tensor, values: Tensor, width: int) -> SparseRows:
        """The rows that these tensors hold. Raises ValueError when they do not fit together or a row has no entry."""
        lengths = starts.diff()
        if len(lengths) == 0 or starts[0] != 0 or starts[-1] != len(columns) or len(columns) != len(values) or lengths.min() < 1:
            raise ValueError("no rows, a row without an entry, or entries that belong to no row")
        if columns.min() < 0 or columns.max() >= width:
            raise ValueError(f"columns {int(columns.min())} … {int(columns.max())}, 0 … {width - 1} expected")
        return cls(starts, columns, values, width, int(lengths.max()))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: slice) -> Tensor:
        """Consecutive rows (b, width), dense."""
        return self.index_select(0, torch.arange(*rows.indices(len(self)), device=self.device))

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        """Rows (b, width), dense, `dim` being 0: as of a dense tensor.

        Gathers as many entries for every row, so that no size depends on data and a GPU need not be waited for.
        """
        assert dim == 0
        first = self.starts.index_select(0, rows).unsqueeze(1)
        last = self.starts.index_select(0, rows + 1).unsqueeze(1) - 1
        places = torch.minimum(first + torch.arange(self.longest, device=self.device), last)  # past its end, a row's last entry again
        columns, values = (entries.index_select(0, places.flatten()).view(places.shape) for entries in (self.columns, self.values))
        return torch.zeros(len(rows), self.width, dtype=self.dtype, device=self.device).scatter_(1, columns.long(), values)

    def select(self, rows: Tensor) -> SparseRows:
        """Some rows, sparse."""
        lengths = self.starts.diff()[rows]
        starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        places = torch.arange(int(starts[-1]), device=self.device) + (self.starts[:-1][rows] - starts[:-1]).repeat_interleave(lengths)
        return SparseRows.of(starts, self.columns[places], self.values[places], self.width)

    def between(self, start: int, stop: int) -> SparseRows:
        """Consecutive rows, sparse, sharing memory."""
        starts = self.starts[start : stop + 1]
        entries = slice(int(starts[0]), int(starts[-1]))
        return SparseRows.of(starts - starts[0], self.columns[entries], self.values[entries], self.width)

    def to(self, device: torch.device | str) -> SparseRows:
        """The same rows on another device."""
        return replace(self, starts=self.starts.to(device), columns=self.columns.to(device), values=self.values.to(device))

    @property
    def shape(self) -> torch.Size:
        """(n, width)."""
        return torch.Size((len(self), self.width))

    @property
    def dtype(self) -> torch.dtype:
        """That of dense rows."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.values.device

    @property
    def is_cpu(self) -> bool:
        """Whether the rows are in the host's memory."""
        return self.values.is_cpu
