"""Passes over some of the examples: which, by the score that the method gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nftlab.train.feed import in_chunks, seen
from nftlab.train.program import Program, Trees


@torch.no_grad()
def lowest(program: Program, params: Trees, buffers: Trees, labels: Tensor, orders: Tensor, kept: int, tick: Callable[[], None]) -> Tensor:
    """Of the rows in `orders` (n,) or (K, n) the `kept` of lowest score, in their order; of equals the first in the set.

    Scores are those of the networks as they stand, in eval mode on the data as they are; `labels` (n,) or (K, n).
    """
    split, stacked = program.task.train, labels.dim() > 1
    score = torch.func.vmap(program.score, in_dims=(0, 0, None, 0)) if stacked else program.score

    def some(rows: slice) -> Tensor:
        return score(params, buffers, seen(split.x[rows], program.task.scale, program.dtype), labels[..., rows])

    scores = []
    for each in in_chunks(some, len(split), labels):
        scores.append(each)
        tick()
    ranks = torch.cat(scores, -1).argsort(stable=True, dim=-1).argsort(-1)
    chosen = ranks.gather(-1, orders) < kept
    return orders.gather(-1, chosen.logical_not().byte().argsort(stable=True, dim=-1)[..., :kept])
