from collections.abc import Iterator

import pytest
import torch

from nftlab.train.networks import FCB


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tensors here are too small to share: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """FC-B with as many layers and a hundredth of the units."""
    monkeypatch.setattr(FCB, "widths", tuple(width // 100 for width in FCB.widths))
