"""Batches of several steps made at once.

Where steps are recorded a small operation costs the same for one batch and for sixteen, and a batch takes up to 25: its
examples, their labels, the hashes behind their masks. A window makes them ahead; a step picks its own with five.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nftlab.train.feed import Batch
from nftlab.train.net import channels_last

STEPS = 16  # of a window, at most
_EXAMPLES = 512  # of a window, of all lanes together: more fill the device anyway and only take memory


def steps_ahead(examples: int) -> int:
    """For how many steps of so many examples, over all lanes, a window is worth having; 1: for none."""
    return max(1, min(STEPS, _EXAMPLES // examples))


class Window:
    """The next `ahead` steps of a pass: `make` makes batches of the examples at some places, `edges` are the steps' (start, stop).

    Call `fill` before the steps that are multiples of `ahead`; the number of the step is a tensor, so that both can be recorded.
    """

    def __init__(self, make: Callable[[Tensor], Batch], edges: list[tuple[int, int]], ahead: int, device: torch.device) -> None:
        self._make, self._stride = make, edges[0][1]
        begins = [edges[i - i % ahead][0] for i in range(len(edges))]
        widest = max(stop - start for start, stop in edges)
        offsets = torch.tensor([start - begin for (start, _), begin in zip(edges, begins, strict=True)])
        self._rows = (offsets.unsqueeze(1) + torch.arange(widest)).to(device)  # of each step, in its window
        self._last = edges[-1][1] - 1
        self._places = torch.arange(max(stop - begin for (_, stop), begin in zip(edges, begins, strict=True)), device=device)
        self._made: Batch | None = None

    def fill(self, number: Tensor) -> None:
        """Make the batches of the steps from `number` on; places behind the last example are not asked for."""
        x, y, masks = self._make((self._places + number * self._stride).clamp_(max=self._last))
        if self._made is None:
            self._made = x, y, masks
        else:
            torch._foreach_copy_([self._made[0], self._made[1], *self._made[2]], [x, y, *masks])

    def batch(self, number: Tensor, size: int) -> Batch:
        """The batch of `size` examples of a step."""
        assert self._made is not None  # filled before
        x, y, masks = self._made
        rows, axis = self._rows.index_select(0, number).squeeze(0)[:size], y.dim() - 1
        mine = x.index_select(axis, rows)
        return mine if axis else channels_last(mine), y.index_select(axis, rows), tuple(mask.index_select(axis, rows) for mask in masks)
