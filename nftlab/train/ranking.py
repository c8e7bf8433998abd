"""Passes over some of the examples: which, by the score that the method gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nftlab.methods.base import Pass
from nftlab.train.feed import in_chunks, seen
from nftlab.train.net import Tensors
from nftlab.train.program import Program, Trees


@torch.no_grad()
def lowest(
    program: Program, params: Trees, buffers: Trees, labels: Tensor, notes: Tensors, orders: Tensor, each: Pass, tick: Callable[[], None]
) -> Tensor:
    """Of the rows in `orders` (n,) or (K, n) those that a pass keeps: the `kept` of lowest score, in their order.

    Scores are those of the networks as they stand, in eval mode on the data as they are; `labels` and `notes` (n,) or (K, n).
    """
    split, stacked = program.task.train, labels.dim() > 1
    score = torch.func.vmap(program.score, in_dims=(0, 0, None, 0, 0)) if stacked else program.score

    def some(rows: slice) -> Tensor:
        x, mine = seen(split.x[rows], program.task.scale, program.dtype), {name: note[..., rows] for name, note in notes.items()}
        return score(params, buffers, x, labels[..., rows], mine)

    found = []
    for some_scores in in_chunks(some, len(split), labels):
        found.append(some_scores)
        tick()
    scores, kept = torch.cat(found, -1), each.kept or len(split)
    ranks = _ranks(scores.gather(-1, orders)) if each.shuffled_ties else _ranks(scores).gather(-1, orders)
    return orders.gather(-1, ranks.ge(kept).byte().argsort(stable=True, dim=-1)[..., :kept])


def _ranks(scores: Tensor) -> Tensor:
    """0 for the lowest; of equals the first goes before."""
    return scores.argsort(stable=True, dim=-1).argsort(-1)
