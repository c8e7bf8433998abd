"""Easy examples first: how many are kept, and which."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nftlab.configuration import build
from nftlab.methods import EasyExamplesFirst, Plan
from nftlab.methods.base import bounds


def hypers(**fields: Any) -> Any:
    return build({"algorithm": "eef", "dataset": "mnist", "epochs": 10, "batch_size": 8, **fields})


def plans(h: Any, examples: int) -> list[Plan]:
    method, steps = EasyExamplesFirst(h, 784, examples), len(bounds(examples, h.batch_size))
    return [method.plan(h, epoch, steps) for epoch in range(1, h.epochs + 1)]


def kept(plan: Plan, examples: int) -> list[int]:
    """How many of each batch."""
    sizes = [stop - start for start, stop in bounds(plan.passes[0].kept or examples, 8)]
    return [how or size for how, size in zip(plan.passes[0].how, sizes, strict=True)]


@pytest.mark.parametrize("kappa", [0.1, 0.25, 0.5, 0.3])
@pytest.mark.parametrize("scaling", ["quadratic", "linear"])
def test_the_share_of_a_batch_grows_to_the_whole(kappa: float, scaling: str) -> None:
    counts = [count for plan in plans(hypers(kappa_0=kappa, ratio_simp=0.5, scaling=scaling), 64) for count in kept(plan, 64)]
    assert counts == sorted(counts)
    assert counts[0] == max(2, -(-int(kappa * 80) // 10))
    assert counts[39] == 8
    assert counts[40:] == [8] * 40


def test_shares_of_the_specification() -> None:
    first, second, *rest = plans(hypers(kappa_0=0.5, ratio_simp=0.2), 33)  # T = 8 steps of 8, 8, 8 and 9 examples
    assert kept(first, 33) == [4, 5, 6, 8]
    assert kept(second, 33) == [7, 8, 8, 9]
    assert [plan.eligible for plan in (first, second, *rest)] == [False, False] + [True] * 8
    assert [plan.values for plan in rest] == [{}] * 8
    within = plans(hypers(kappa_0=0.5, ratio_simp=0.25), 33)  # T = 10 steps: a switch inside the third epoch makes it eligible
    assert [plan.eligible for plan in within] == [False] * 2 + [True] * 8


def test_the_set_is_ranked_once_an_epoch() -> None:
    listed = plans(hypers(kappa_0=0.5, ratio_simp=0.4, scope="epoch"), 33)  # T = 4 epochs
    assert [plan.passes[0].kept for plan in listed] == [16, 23, 28, 31] + [None] * 6
    assert [len(plan.passes[0].how) for plan in listed] == [2, 3, 4, 4] + [4] * 6
    assert [plan.eligible for plan in listed] == [False] * 4 + [True] * 6
    assert all(not any(plan.passes[0].how) for plan in listed)


@pytest.mark.parametrize("scope", ["batch", "epoch"])
def test_never_fewer_than_two_are_kept(scope: str) -> None:
    for examples in (2, 3, 10, 17):
        for plan in plans(hypers(kappa_0=0.01, ratio_simp=0.9, scope=scope), examples):
            assert min(kept(plan, examples)) >= 2


@pytest.mark.parametrize("scope", ["batch", "epoch"])
@pytest.mark.parametrize("fields", [{"kappa_0": 1}, {"ratio_simp": 0.0}])
def test_where_all_are_kept_it_is_classic_training(scope: str, fields: dict[str, Any]) -> None:
    h = hypers(scope=scope, **fields)
    assert all((list(plan.passes[0].how), plan.passes[0].kept, plan.eligible) == ([0] * 4, None, True) for plan in plans(h, 33))
    assert EasyExamplesFirst(h, 784, 33).altered(h, 4) == 0


def test_the_kept_are_those_of_lowest_loss_in_their_order() -> None:
    source = torch.Generator().manual_seed(0)
    logits, y = torch.randn(20, 4, generator=source).double(), torch.randint(0, 4, (20,), generator=source)
    modes = []

    def classifier(x: torch.Tensor, train: bool) -> torch.Tensor:
        modes.append(train)
        return logits[x.long()]

    x, labels = EasyExamplesFirst(hypers(), 1, 20).present({"classifier": classifier}, torch.arange(20), y, 7, {})
    losses = torch.nn.functional.cross_entropy(logits, y, reduction="none")
    assert x.tolist() == sorted(losses.argsort()[:7].tolist())
    assert torch.equal(labels, y[x])
    assert modes == [False]


def test_of_equals_the_first_are_kept() -> None:
    nets: Any = {"classifier": lambda x, train: torch.zeros(len(x), 3)}
    x, _ = EasyExamplesFirst(hypers(), 1, 6).present(nets, torch.arange(6), torch.zeros(6, dtype=torch.int64), 4, {})
    assert x.tolist() == [0, 1, 2, 3]
