"""Wrong training labels: per lane, by its seed, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nftlab.data.noise import noisy
from nftlab.train import Member, Pack
from nftlab.train.rng import generator
from tests.train import tiny

DATA = tiny.task(n=200)


def labels(pack: Pack, key: str) -> Tensor:
    return pack._lanes[key].labels


def pack(*lanes: tuple[int, float, str]) -> Pack:
    members = [
        Member(f"lane-{i}", seed, tiny.hypers(label_noise=share, noise_recipe=recipe)) for i, (seed, share, recipe) in enumerate(lanes)
    ]
    return Pack(DATA, members)


def test_lanes_have_labels_of_their_own() -> None:
    lanes = pack((0, 0.0, "flip"), (0, 0.5, "flip"), (1, 0.5, "flip"), (0, 0.5, "permute"), (0, 0.5, "flip"))
    clean, flipped, other, permuted, again = (labels(lanes, f"lane-{i}") for i in range(5))
    assert torch.equal(clean, DATA.train.y)
    assert int((flipped != clean).sum()) == 100
    assert not torch.equal(flipped, other)
    assert torch.equal(flipped, again)
    assert torch.equal(flipped, noisy(DATA.train.y, 0.5, generator(0, "label-noise", 0), "flip", 10))
    assert torch.equal(permuted[100:], clean[100:])
    assert not torch.equal(permuted, clean)
    assert torch.equal(permuted.sort()[0], clean.sort()[0])


def test_a_lane_trains_on_its_labels_and_is_judged_by_the_true_ones() -> None:
    wrong = tiny.task(n=200)
    wrong.train.y.copy_(noisy(wrong.train.y, 0.8, generator(0, "label-noise", 0), "flip", 10))
    noise = Member("lane", 0, tiny.hypers(label_noise=0.8, noise_recipe="flip"))
    by_field, by_hand = Pack(DATA, [noise]), Pack(wrong, [Member("lane", 0, tiny.hypers())])
    assert by_field.train_epoch()[0].values == by_hand.train_epoch()[0].values
    assert torch.equal(tiny.network(by_field.checkpoint("lane")), tiny.network(by_hand.checkpoint("lane")))


def test_a_restored_lane_has_its_labels_again() -> None:
    before = pack((4, 0.3, "permute"))
    after = pack((4, 0.3, "permute"))
    after.restore("lane-0", before.checkpoint("lane-0"))
    assert torch.equal(labels(after, "lane-0"), labels(before, "lane-0"))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_and_all(share: float) -> None:
    changed = (labels(pack((0, share, "flip")), "lane-0") != DATA.train.y).double().mean()
    assert changed == share
