"""Optimisers of stacked lanes against torch.optim, and learning rates by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nftlab.train import Member
from nftlab.train.lane import Lane
from nftlab.train.net import NetState, spans
from nftlab.train.optim import OPTIMISERS, Adam, Setting
from nftlab.train.rates import rate
from nftlab.train.steps import Steps
from tests.train import tiny

LR, DECAY = [1e-3, 1e-2, 1e-1], [0.0, 1e-2, 1.0]
SAME = [Setting(1e-2, 1e-2, 0.9)] * 3
MIXED = [Setting(lr, decay, momentum) for lr, decay, momentum in zip(LR, DECAY, [0.9, 0.0, 0.5], strict=True)]
SOME = [Setting(1e-2, 0.0, 0.9), Setting(1e-3, 0.0, 0.9), Setting(1e-2, 0.0, 0.9)]


def torchs(name: str, start: Tensor, gradients: list[Tensor], setting: Setting) -> Tensor:
    """The weights after the steps of torch's optimiser."""
    weights = start.clone().requires_grad_()
    lr, decay, momentum = setting
    optimiser: torch.optim.Optimizer = torch.optim.Adam([weights], lr=lr, weight_decay=decay)
    if name == "sgd":
        optimiser = torch.optim.SGD([weights], lr=lr, weight_decay=decay, momentum=momentum)
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimiser.step()
    return weights.detach()


SIZES = [4, 6]  # of the parameters


def state(name: str, numbers: Tensor) -> NetState:
    """Before the first step; each parameter's numbers have their gap behind them."""
    sizes = SIZES if numbers.shape[-1] == sum(SIZES) else [numbers.shape[-1]]
    parts = zip(numbers.split(sizes, -1), sizes, spans(sizes), strict=True)
    weights = torch.cat([F.pad(part, (0, span - size)) for part, size, span in parts], -1)
    steps = torch.zeros(weights.shape[:-1], dtype=torch.int64)
    return NetState(weights, {}, {part: torch.zeros_like(weights) for part in OPTIMISERS[name].moments}, steps)


def numbers(weights: Tensor, sizes: Sequence[int] = SIZES) -> Tensor:
    """The parameters; what lies behind them is still 0."""
    pieces = [(piece[:size], piece[size:]) for piece, size in zip(weights.split(spans(sizes)), sizes, strict=True)]
    assert not any(gap.any() for _, gap in pieces)
    return torch.cat([own for own, _ in pieces])


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("settings", [SAME, MIXED, SOME])
def test_lanes_are_torchs_each(name: str, settings: Sequence[Setting]) -> None:
    start, gradients = torch.randn(3, 10).double(), [torch.randn(3, 10).double() for _ in range(6)]
    stacked = state(name, start)
    for part in (gradients[:4], gradients[4:]):  # two passes: moments and bias corrections go on
        optimiser = OPTIMISERS[name](stacked, settings)
        for gradient in part:
            optimiser.step((gradient[:, :4].reshape(3, 2, 2), gradient[:, 4:]))
        stacked.steps += len(part)
    for k in range(3):
        expected = torchs(name, start[k], [g[k] for g in gradients], settings[k])
        assert torch.allclose(numbers(stacked.weights[k]), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_single_lane_has_no_axis(name: str) -> None:
    start, gradient = torch.randn(10), torch.randn(10)
    alone = state(name, start)
    OPTIMISERS[name](alone, MIXED[:1]).step((gradient[:4].reshape(2, 2), gradient[4:]))
    assert torch.allclose(numbers(alone.weights), torchs(name, start, [gradient], MIXED[0]), rtol=1e-6, atol=1e-7)


def test_lanes_may_have_taken_different_numbers_of_steps() -> None:
    start, gradient, setting = torch.randn(2, 4).double(), torch.randn(2, 4).double(), Setting(1e-3, 0.0)
    ahead = state("adam", start[0])
    optimiser = Adam(ahead, [setting])
    optimiser.step((gradient[0],))
    both = state("adam", torch.stack([numbers(ahead.weights, [4]), start[1]]))
    for name, moment in ahead.moments.items():
        both.moments[name][0] = moment
    both.steps[0] = 1
    Adam(both, [setting] * 2).step((gradient,))
    optimiser.step((gradient[0],))
    assert torch.allclose(both.weights[0], ahead.weights, rtol=1e-14)
    assert torch.allclose(numbers(both.weights[1], [4]), torchs("adam", start[1], [gradient[1]], setting), rtol=1e-13)


CT_RATES = {1: 0.1, 2: 0.099996, 126: 0.050313, 250: 1.6e-5}
NFT_RATES = {1: 0.1, 175: 0.1, 176: 0.01, 177: 0.009996, 201: 0.007559, 225: 0.002804, 250: 1.7e-5}


@pytest.mark.parametrize(
    ("schedule", "altered", "rates"),
    [
        ("constant", 175, dict.fromkeys((1, 176, 250), 0.1)),
        ("cosine", 0, CT_RATES),
        ("cosine", 175, CT_RATES),  # whatever the method does
        ("refine", 0, CT_RATES),  # classic training has nothing to refine
        ("refine", 175, NFT_RATES),
        ("steps", 175, {1: 0.1, 75: 0.1, 76: 0.02, 150: 0.02, 151: 0.004, 200: 0.004, 201: 0.0008, 250: 0.0008}),
    ],
)
def test_rates_of_the_specification(schedule: str, altered: int, rates: dict[int, float]) -> None:
    h = tiny.hypers(epochs=250, lr=0.1, lr_schedule=schedule)
    assert {epoch: rate(h, epoch, altered) for epoch in rates} == pytest.approx(rates, abs=5e-7)


def test_steps_of_few_epochs_come_after_whole_ones() -> None:
    h = tiny.hypers(epochs=7, lr=0.1, lr_schedule="steps")
    assert [rate(h, epoch, 0) for epoch in range(1, 8)] == pytest.approx([0.1, 0.1, 0.1, 0.02, 0.02, 0.004, 0.0008])
    assert rate(tiny.hypers(epochs=1, lr=0.1, lr_schedule="steps"), 1, 0) == 0.1


def test_the_cosine_is_torchs() -> None:
    h = tiny.hypers(epochs=7, lr=0.3, lr_schedule="cosine")
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=8)
    for epoch in range(1, 8):
        assert rate(h, epoch, 0) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("algorithm", "fields", "altered"),
    [
        ("ct", {}, 0),
        ("nft", {"mode": "code", "ratio_simp": 0.5}, 3),
        ("nft", {"mode": "code", "ratio_simp": 0.4}, 3),  # 2.4 epochs
        ("nft", {"mode": "paper", "ratio_simp": 0.5}, 3),
        ("ft", {"ratio_simp": 0.5}, 3),
        ("eef", {"ratio_simp": 0.5}, 3),
    ],
)
def test_refinement_begins_where_a_method_shows_raw_data_again(
    algorithm: str, fields: dict[str, Any], altered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[str, list[float]] = {}
    whole = Steps._setting

    def noted(self: Steps, lane: Lane) -> Setting:
        setting = whole(self, lane)
        rates.setdefault(self._pass.trains, []).append(setting.lr)
        return setting

    monkeypatch.setattr(Steps, "_setting", noted)
    h = {"optimizer": "sgd", "lr": 0.1, "lr_schedule": "refine", "epochs": 6, "precision": "fp32", **fields}
    tiny.trained(tiny.task(n=24), [Member("a", 0, tiny.hypers(algorithm, **h, **({"n_f": 2} if algorithm == "nft" else {})))], epochs=6)
    start = 0.01 if altered else 0.1
    after = [start * (1 + cos(pi * e / (7 - altered))) / 2 for e in range(6 - altered)]
    assert rates.pop("classifier") == pytest.approx([0.1] * altered + after)
    assert all(set(found) == {1e-4} for found in rates.values())  # the simplifier's is constant
