"""Digits before photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nftlab.data.backgrounds import LEAST_DEVIATION, MnistBackImage, MnistRotBackImage
from nftlab.data.rotate import rotated
from tests.data.formats import SMALL, write_small


def made(kind: type[MnistBackImage], root: Path) -> tuple[torch.Tensor, np.ndarray, np.random.RandomState]:
    """The images of seed 0, the digits they are made from, and the generator as it is after these were drawn."""
    data = kind(write_small(root), SMALL)
    data.make(root)
    task = data.load(root)
    random = np.random.RandomState(0)
    digits, _ = data.digits(random, root)
    return torch.cat([task.train.x, task.valid.x, task.test.x]), digits, random


def test_the_digit_hides_the_photograph(tmp_path: Path) -> None:
    images, digits, _ = made(MnistBackImage, tmp_path)
    shown = digits > 0
    assert (images.numpy()[shown] == digits[shown]).all()
    assert (images.numpy()[~shown] > 0).any()


def test_behind_the_digit_is_texture(tmp_path: Path) -> None:
    images, digits, _ = made(MnistBackImage, tmp_path)
    behind = np.ma.array(images.numpy(), mask=digits > 0).std((1, 2, 3))
    assert np.ma.median(behind) > LEAST_DEVIATION


def test_the_digit_is_turned_and_the_photograph_is_not(tmp_path: Path) -> None:
    upright, digits, random = made(MnistBackImage, tmp_path)
    images, _, _ = made(MnistRotBackImage, tmp_path)
    turned = rotated(digits, random.uniform(0, 2 * np.pi, len(digits)))
    assert (images.numpy()[turned > 0] == turned[turned > 0]).all()
    empty = (turned == 0) & (digits == 0)
    assert torch.equal(images[torch.from_numpy(empty)], upright[torch.from_numpy(empty)])
    assert not torch.equal(images, upright)
