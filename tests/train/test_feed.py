"""Batches and the random numbers behind them."""

from __future__ import annotations

import pytest
import torch

from nftlab.train.feed import Feed, bounds
from nftlab.train.networks import NETWORKS
from nftlab.train.rng import generator
from tests.train import tiny

SITES = (((3, 2), 0.25), ((5,), 0.5))


@pytest.mark.parametrize(
    ("examples", "batch", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (3, 4, [3]), (1, 4, [1]), (5, 1, [1, 1, 1, 2]), (0, 4, [])],
)
def test_a_last_batch_of_one_joins_the_one_before(examples: int, batch: int, sizes: list[int]) -> None:
    edges = bounds(examples, batch)
    assert [stop - start for start, stop in edges] == sizes
    assert [start for start, _ in edges[1:]] == [stop for _, stop in edges[:-1]]


def test_every_example_comes_once_with_its_label() -> None:
    data = tiny.task(n=33)
    batches = list(Feed(data.train, [4], [1], "", ()).batches(bounds(33, 8), 1.0, torch.float32))
    seen = torch.cat([x.flatten(1) for x, _, _ in batches])
    order = torch.randperm(33, generator=generator(4, "order", 1))
    assert torch.equal(seen, data.train.x.float().flatten(1)[order])
    assert torch.equal(torch.cat([y for _, y, _ in batches]), data.train.y[order])


def test_a_lane_is_fed_the_same_in_any_company() -> None:
    data = tiny.task(n=20)
    alone = list(Feed(data.train, [7], [3], "s ", SITES).batches(bounds(20, 8), 0.5, torch.float64))
    among = list(Feed(data.train, [1, 7], [2, 3], "s ", SITES).batches(bounds(20, 8), 0.5, torch.float64))
    for one, many in zip(alone, among, strict=True):
        for mine, stacked in zip((*one[:2], *one[2]), (*many[:2], *many[2]), strict=True):
            assert torch.equal(mine, stacked[1])


def test_seed_purpose_and_epoch_each_change_the_numbers() -> None:
    draws = [torch.rand(3, generator=generator(*key)) for key in ((0, "order", 1), (1, "order", 1), (0, "dropout", 1), (0, "order", 2))]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])
    assert torch.equal(draws[0], torch.rand(3, generator=generator(0, "order", 1)))


def test_masks_drop_at_their_rate_and_keep_the_mean() -> None:
    data = tiny.task((1, 28, 28), n=64)
    sites = NETWORKS["cnn-a"](data.shape, 10).dropout  # type: ignore[arg-type]
    _, _, masks = next(Feed(data.train, [0], [1], "", sites).batches([(0, 64)], 1.0, torch.float64))
    for mask, (shape, rate) in zip(masks, sites, strict=True):
        assert mask.shape == (64, *shape)
        assert sorted(mask.unique().tolist()) == [0.0, 1 / (1 - rate)]
        assert mask.mean().item() == pytest.approx(1.0, abs=0.03)
