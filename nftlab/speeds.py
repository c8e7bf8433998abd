"""How fast trials train: what is measured, seen and remembered of it, and which pack is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CLOSE = 1.03  # a smaller pack whose lanes take at most so many times what those of the fastest take wins


@dataclass(frozen=True)
class Speed:
    """How fast `lanes` trials train together in one `way` ("mapped", "apart", … see nftlab/train/pack.py).

    `seconds`: mean share of one lane in an epoch's time; `low` and `high`: the smallest and the largest share seen. `epochs`:
    lane-epochs seen in training, 0: a short measurement before it. `memory`: bytes that torch holds on the device, 0: unknown.
    """

    lanes: int
    way: str
    seconds: float
    low: float
    high: float
    epochs: int
    memory: int


def fastest(speeds: Sequence[Speed], most: int | None = None) -> Speed | None:
    """The pack of at most `most` lanes that does most per hour, the smallest of those that come close; None when none is known."""
    fitting = [speed for speed in speeds if most is None or speed.lanes <= most]
    least = min((speed.seconds for speed in fitting), default=0.0)
    close = [speed for speed in fitting if speed.seconds <= CLOSE * least]
    return min(close, key=lambda speed: (speed.lanes, speed.seconds), default=None)
