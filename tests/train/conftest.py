from collections.abc import Iterator

import pytest
import torch

from nftlab.train.cifar_nets import VGG, ThinResNet, WideResNet
from nftlab.train.networks import FCB, ResNet18


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tensors here are too small to share: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """FC-B and the deep networks with as many layers and a fraction of the units.

    Not below 16 channels: oneDNN's gradient of a strided 1×1 convolution of images channels last writes out of bounds
    where its input has fewer channels than a vector register holds numbers (its issue 6035).
    """
    monkeypatch.setattr(FCB, "widths", tuple(width // 100 for width in FCB.widths))
    monkeypatch.setattr(ResNet18, "widths", (16, 18, 20, 24))
    monkeypatch.setattr(VGG, "widths", (16, 16, 18, 18, 20))
    monkeypatch.setattr(ThinResNet, "widths", (16, 16, 18))
    monkeypatch.setattr(WideResNet, "widths", (16, 18, 20))
