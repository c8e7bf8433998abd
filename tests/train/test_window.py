"""Batches made ahead are the batches made one by one."""

from __future__ import annotations

import pytest
import torch

from nftlab.methods.base import bounds
from nftlab.train.feed import Batch, Feed
from nftlab.train.window import STEPS, Window, steps_ahead
from tests.train import tiny

SITES = (((3, 2), 0.25), ((5,), 0.5))
CPU = torch.device("cpu")


def flat(batch: Batch) -> list[torch.Tensor]:
    return [batch[0], batch[1], *batch[2]]


@pytest.mark.parametrize("seeds", [[7], [7, 1, 4]])
@pytest.mark.parametrize("ahead", [2, 5, 16])
@pytest.mark.parametrize("examples", [64, 69, 65, 40, 8, 9])  # the last batch full, short, one too many; one window, one batch
def test_a_window_gives_every_batch(examples: int, ahead: int, seeds: list[int]) -> None:
    data, edges = tiny.task((3, 6, 6), n=examples), bounds(examples, 8)
    feed = Feed(data.train, seeds, [2] * len(seeds), "s ", SITES)
    window = Window(lambda places: feed.drawn(places, 0.5, torch.float64), edges, ahead, CPU)
    for i, (start, stop) in enumerate(edges):
        if i % ahead == 0:
            window.fill(torch.tensor(i))
        mine = flat(window.batch(torch.tensor(i), stop - start))
        usual = flat(feed.batch(torch.arange(start, stop), 0.5, torch.float64))
        assert all(torch.equal(a, b) for a, b in zip(mine, usual, strict=True))
        assert mine[0].stride() == usual[0].stride()  # channels last, for a lane alone


def test_a_refill_stays_in_its_place() -> None:
    """What a recorded step reads."""
    data = tiny.task(n=64)
    feed = Feed(data.train, [1], [1], "", SITES)
    window = Window(lambda places: feed.drawn(places, 1.0, torch.float64), bounds(64, 8), 4, CPU)
    window.fill(torch.tensor(0))
    places = [tensor.data_ptr() for tensor in flat(window._made)]  # type: ignore[arg-type]
    window.fill(torch.tensor(4))
    assert [tensor.data_ptr() for tensor in flat(window._made)] == places  # type: ignore[arg-type]


def test_many_lanes_or_large_batches_have_none() -> None:
    assert [steps_ahead(examples) for examples in (1, 32, 64, 128, 256, 512, 4096)] == [STEPS, 16, 8, 4, 2, 1, 1]
