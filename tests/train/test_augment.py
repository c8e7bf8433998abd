"""Random changes of training images: what they are, and that they depend on nothing but seed, pass, epoch and place."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from nftlab.errors import ConfigError
from nftlab.train import Member, Pack
from nftlab.train.augment import crop_flip
from nftlab.train.feed import Feed
from nftlab.train.rng import keys, words
from tests.train import tiny

NOISE = words(keys([3], "augment", [1], "cpu"), torch.arange(4000))


def plainly(image: Tensor, high: int, wide: int, mirrored: bool) -> Tensor:
    """One image, pixel by pixel."""
    channels, height, width = image.shape
    out = torch.zeros_like(image)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                row, column = i + high - 4, (width - 1 - j if mirrored else j) + wide - 4
                if 0 <= row < height and 0 <= column < width:
                    out[c, i, j] = image[c, row, column]
    return out


@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 8, 4)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_it_pads_crops_and_mirrors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.randint(1, 255, (40, *shape)).to(dtype)
    for image, word, out in zip(x, NOISE[:40].tolist(), crop_flip(x, NOISE[:40]), strict=True):
        high, wide = ((word >> shift) % 2**20 * 9 // 2**20 for shift in (0, 20))
        assert torch.equal(out, plainly(image, high, wide, bool(word >> 40 & 1)))


def test_every_place_and_both_sides_are_as_likely() -> None:
    image = torch.zeros(1, 9, 20)
    image[0, 4, 4] = 1  # comes to columns 0 … 8, or mirrored to 11 … 19
    _, _, rows, columns = crop_flip(image.expand(4000, -1, -1, -1), NOISE).nonzero(as_tuple=True)
    assert len(rows) == 4000
    by_row, by_column = Counter(rows.tolist()), Counter(columns.tolist())
    assert sorted(by_row) == list(range(9))
    assert all(360 < count < 530 for count in by_row.values())  # 444 expected
    assert sorted(by_column) == [*range(9), *range(11, 20)]
    assert all(160 < count < 290 for count in by_column.values())  # 222 expected


def test_an_example_is_changed_the_same_in_any_company_and_batch() -> None:
    data = tiny.task((3, 6, 6), n=20)
    alone = Feed(data.train, [7], [3], "s ", (), augment=True)
    among = Feed(data.train, [1, 7], [2, 3], "s ", (), augment=True)
    whole = alone.batch(torch.arange(20), 1 / 255, torch.float64)[0]
    for places in (torch.arange(20), torch.arange(5, 9)):
        assert torch.equal(alone.batch(places, 1 / 255, torch.float64)[0], whole[places])
        assert torch.equal(among.batch(places, 1 / 255, torch.float64)[0][1], whole[places])
    raw = Feed(data.train, [7], [3], "s ", ()).batch(torch.arange(20), 1 / 255, torch.float64)
    assert not torch.equal(raw[0], whole)
    assert torch.equal(raw[1], alone.batch(torch.arange(20), 1 / 255, torch.float64)[1])
    for other in (([8], [3], "s "), ([7], [4], "s "), ([7], [3], "t ")):
        assert not torch.equal(
            Feed(data.train, *other, (), augment=True, rows=alone._rows).batch(torch.arange(20), 1 / 255, torch.float64)[0], whole
        )


def test_validation_sees_images_as_they_are() -> None:
    data = tiny.task(n=8)
    classic, augmented = (tiny.members(1, lr=1e-30, augment=name, weight_decay=0.0) for name in ("none", "crop-flip"))
    first, second = (tiny.trained(data, lanes, epochs=0) for lanes in (classic, augmented))
    plain, changed = first.train_epoch()[0].values, second.train_epoch()[0].values  # weights hardly move
    assert changed["val/loss"] == pytest.approx(plain["val/loss"], rel=1e-9)
    assert changed["train/loss"] != pytest.approx(plain["train/loss"], rel=1e-9)


def test_vectors_are_refused() -> None:
    with pytest.raises(ConfigError, match="crop-flip needs images"):
        Pack(tiny.task((9,)), [Member("a", 0, tiny.hypers(augment="crop-flip"))])
