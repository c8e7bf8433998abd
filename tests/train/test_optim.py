"""Adam on stacked lanes against torch.optim.Adam."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nftlab.train import optim
from nftlab.train.net import NetState
from nftlab.train.optim import Adam

LR, DECAY = [1e-3, 1e-2, 1e-1], [0.0, 1e-2, 1.0]


def torchs(start: Tensor, gradients: list[Tensor], lr: float, decay: float) -> Tensor:
    """The weights after torch.optim.Adam's steps."""
    weights = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([weights], lr=lr, weight_decay=decay)
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimiser.step()
    return weights.detach()


def state(weights: Tensor, steps: Tensor) -> NetState:
    return NetState(weights.clone(), {}, torch.zeros_like(weights), torch.zeros_like(weights), steps)


@pytest.mark.parametrize("chunk", [6, 1 << 17])
def test_lanes_are_torchs_adam_each(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(optim, "_CHUNK", chunk)
    start, gradients = torch.randn(3, 10).double(), [torch.randn(3, 10).double() for _ in range(6)]
    stacked = state(start, torch.zeros(3, dtype=torch.int64))
    for part in (gradients[:4], gradients[4:]):  # two passes: the bias corrections go on
        optimiser = Adam(stacked, LR, DECAY, len(part))
        for gradient in part:
            optimiser.step((gradient[:, :4].reshape(3, 2, 2), gradient[:, 4:]))
    for k in range(3):
        expected = torchs(start[k], [g[k] for g in gradients], LR[k], DECAY[k])
        assert torch.allclose(stacked.weights[k], expected, rtol=1e-13, atol=1e-15)
    assert stacked.steps.tolist() == [6, 6, 6]


def test_a_single_lane_has_no_axis() -> None:
    start, gradient = torch.randn(10), torch.randn(10)
    alone = state(start, torch.zeros((), dtype=torch.int64))
    Adam(alone, LR[1:2], DECAY[1:2], 1).step((gradient[:4].reshape(2, 2), gradient[4:]))
    assert torch.allclose(alone.weights, torchs(start, [gradient], LR[1], DECAY[1]), rtol=1e-6, atol=1e-7)


def test_lanes_may_have_taken_different_numbers_of_steps() -> None:
    start, gradient = torch.randn(2, 4).double(), torch.randn(2, 4).double()
    ahead = state(start[0], torch.tensor(0))
    optimiser = Adam(ahead, [1e-3], [0.0], 2)
    optimiser.step((gradient[0],))
    both = NetState(
        torch.stack([ahead.weights, start[1]]),
        {},
        torch.stack([ahead.m, torch.zeros(4).double()]),
        torch.stack([ahead.v, torch.zeros(4).double()]),
        torch.tensor([1, 0]),
    )
    Adam(both, [1e-3, 1e-3], [0.0, 0.0], 1).step((gradient,))
    optimiser.step((gradient[0],))
    assert torch.allclose(both.weights[0], ahead.weights, rtol=1e-14)
    assert torch.allclose(both.weights[1], torchs(start[1], [gradient[1]], 1e-3, 0.0), rtol=1e-13)
