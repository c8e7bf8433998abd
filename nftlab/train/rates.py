"""The classifier's learning rate by epoch."""

from __future__ import annotations

from math import cos, pi
from typing import Any

REFINEMENT = 0.1  # a refined classifier starts anew from this share of its rate (Marullo et al., AAAI 2022)


def rate(h: Any, epoch: int, altered: int) -> float:
    """The rate of an epoch (from 1) whose method alters the data of the first `altered` epochs.

    The cosine is torch's CosineAnnealingLR with T_max one more than its epochs, stepped once an epoch: the last epoch is above 0.
    """
    lr = float(h.lr)
    if h.lr_schedule == "constant" or (h.lr_schedule == "refine" and epoch <= altered):
        return lr
    before = altered if h.lr_schedule == "refine" else 0
    start = lr * REFINEMENT if before else lr
    return start * (1 + cos(pi * (epoch - before - 1) / (h.epochs - before + 1))) / 2
