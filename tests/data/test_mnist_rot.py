"""Variations of MNIST: which digits they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nftlab.data import DATASETS
from nftlab.data.mnist_rot import FromMnist, MnistRot
from tests.data.formats import SMALL, RealData, digits28, write_small


@pytest.mark.parametrize("name", [name for name, each in DATASETS.items() if isinstance(each, FromMnist)])
def test_every_digit_is_used_once(name: str, tmp_path: Path) -> None:
    data = type(DATASETS[name])(write_small(tmp_path), SMALL)
    data.make(tmp_path)
    task = data.load(tmp_path)
    labels = torch.cat([task.train.y, task.valid.y, task.test.y])
    assert torch.equal(labels.bincount(), torch.from_numpy(digits28(sum(SMALL))[1]).bincount())


@pytest.mark.ci
def test_turning_about_the_centre_keeps_the_ink(real_data: RealData, tmp_path: Path) -> None:
    data = MnistRot(real_data.mnist, (10_000, 2_000, 5_000) if real_data.whole else SMALL)
    (tmp_path / "mnist").symlink_to(real_data.root / "mnist")
    data.make(tmp_path)
    mean = real_data.mnist.load(real_data.root).train.x.float().mean()
    assert data.load(tmp_path).train.x.float().mean() == pytest.approx(mean.item(), rel=0.02)
