"""Batches and the random numbers behind them."""

from __future__ import annotations

import pytest
import torch

from nftlab.methods.base import bounds
from nftlab.train.feed import Batch, Feed, in_chunks
from nftlab.train.networks import NETWORKS
from nftlab.train.rng import generator, keys, starts, words, words_from
from tests.train import tiny

SITES = (((3, 2), 0.25), ((5,), 0.5))


def fed(feed: Feed, examples: int, scale: float) -> list[Batch]:
    """All batches of eight."""
    return [feed.batch(torch.arange(*edge), scale, torch.float64) for edge in bounds(examples, 8)]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")])
def test_pieces_are_halved_where_memory_is_short(error: RuntimeError) -> None:
    seen: list[slice] = []

    def work(rows: slice) -> int:
        if rows.stop - rows.start > 40:
            raise error
        seen.append(rows)
        return rows.stop - rows.start

    assert sum(in_chunks(work, 300, torch.zeros(1))) == 300
    assert [each.start for each in seen] == [*range(0, 300, 32)]
    with pytest.raises(type(error)):
        list(in_chunks(lambda rows: work(slice(0, 99)), 300, torch.zeros(1)))


def test_what_is_not_for_lack_of_memory_is_not_tried_in_pieces() -> None:
    tried: list[slice] = []

    def work(rows: slice) -> int:
        tried.append(rows)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        list(in_chunks(work, 300, torch.zeros(1)))
    assert len(tried) == 1


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
    batches = fed(Feed(data.train, [4], [1], "", ()), 33, 1.0)
    seen = torch.cat([x.flatten(1) for x, _, _ in batches])
    order = torch.randperm(33, generator=generator(4, "order", 1))
    assert torch.equal(seen, data.train.x.double().flatten(1)[order])
    assert torch.equal(torch.cat([y for _, y, _ in batches]), data.train.y[order])


def test_a_lane_is_fed_the_same_in_any_company() -> None:
    data = tiny.task(n=20)
    alone = fed(Feed(data.train, [7], [3], "s ", SITES), 20, 0.5)
    among = fed(Feed(data.train, [1, 7], [2, 3], "s ", SITES), 20, 0.5)
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
    _, _, masks = Feed(data.train, [0], [1], "", sites).batch(torch.arange(64), 1.0, torch.float64)
    for mask, (shape, rate) in zip(masks, sites, strict=True):
        assert mask.shape == (64, *shape)
        assert sorted(mask.unique().tolist()) == [0.0, 1 / (1 - rate)]
        assert mask.mean().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_of_all_bytes_exactly_the_rate_drops(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(torch.int64)
    monkeypatch.setattr("nftlab.train.feed.words_from", lambda starts, places: every.repeat(len(places), 1))
    (mask,) = Feed(tiny.task().train, [0], [1], "", (((256,), rate),)).batch(torch.arange(2), 1.0, torch.float64)[2]
    assert (mask == 0).sum(1).tolist() == [256 * rate] * 2


def test_passes_of_an_epoch_have_numbers_of_their_own() -> None:
    data = tiny.task(n=20)
    one, other = (Feed(data.train, [7], [3], stream, SITES).batch(torch.arange(20), 1.0, torch.float64) for stream in ("", "s "))
    assert not torch.equal(one[0], other[0]), "another order"
    assert all(not torch.equal(mine, theirs) for mine, theirs in zip(one[2], other[2], strict=True))


def test_masks_do_not_depend_on_the_cut_into_batches() -> None:
    data = tiny.task(n=20)
    whole = Feed(data.train, [7], [3], "s ", SITES).batch(torch.arange(20), 1.0, torch.float64)[2]
    parts = [masks for _, _, masks in fed(Feed(data.train, [7], [3], "s ", SITES), 20, 1.0)]
    assert all(torch.equal(torch.cat(pieces), mask) for pieces, mask in zip(zip(*parts, strict=True), whole, strict=True))


def test_words_are_splitmix64() -> None:
    # the generator's first numbers from state 1234567, as its reference implementation prints them
    first = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [number % 2**64 for number in words(torch.tensor(1234567), torch.arange(5)).tolist()] == first
    two = words(torch.tensor([1234567, 5]), torch.arange(4).view(2, 2))
    assert two.shape == (2, 2, 2)
    assert torch.equal(two[0].flatten(), words(torch.tensor(1234567), torch.arange(4)))


@pytest.mark.parametrize("seeds", [[3], [3, 2**40]])
def test_words_of_examples_are_those_at_their_places(seeds: list[int]) -> None:
    mine, examples = keys(seeds, "dropout", [5] * len(seeds), "cpu"), torch.tensor([0, 1, 7, 61_999])
    places = examples[:, None] * 1168 + torch.arange(1168)
    assert torch.equal(words_from(starts(mine, 1168), examples), words(mine, places))


def test_keys_follow_seed_purpose_and_epoch() -> None:
    drawn = [keys([seed], purpose, [epoch], "cpu").item() for seed, purpose, epoch in ((0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2))]
    assert len(set(drawn)) == 4
    assert keys([0, 1], "a", [1, 1], "cpu").tolist() == drawn[:2]
