"""The classifier's learning rate by epoch."""

from __future__ import annotations

from math import cos, pi
from typing import Any

STEPS, FACTOR = (30, 60, 80), 0.2  # percent of the epochs; of wide ResNets (Zagoruyko, Komodakis, BMVC 2016): 60, 120 and 160 of 200
REFINEMENT = 0.1  # a refined classifier starts anew from this share of its rate (Marullo et al., AAAI 2022)


def rate(h: Any, epoch: int, altered: int) -> float:
    """The rate of an epoch (from 1) whose method alters the data of the first `altered` epochs.

    The cosine is torch's CosineAnnealingLR with T_max one more than its epochs, stepped once an epoch: the last epoch is above 0.
    """
    lr = float(h.lr)
    if h.lr_schedule == "constant" or (h.lr_schedule == "refine" and epoch <= altered):
        return lr
    if h.lr_schedule == "steps":
        return float(lr * FACTOR ** sum(epoch > -(-share * h.epochs // 100) for share in STEPS))
    before = altered if h.lr_schedule == "refine" else 0
    start = lr * REFINEMENT if before else lr
    return start * (1 + cos(pi * (epoch - before - 1) / (h.epochs - before + 1))) / 2
