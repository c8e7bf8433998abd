"""Friendly training: how many iterations, and where they move an example."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nftlab.configuration import build
from nftlab.methods import Friendly, Plan

WEIGHTS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
EASY, HARD = WEIGHTS[:, 0] * 4, WEIGHTS[:, 1] - WEIGHTS[:, 0]  # as examples of class 0


def hypers(**fields: Any) -> Any:
    return build({"algorithm": "ft", "dataset": "mnist", **fields})


def plan(h: Any, epoch: int, steps: int) -> Plan:
    return Friendly(h, 784, 0).plan(h, epoch, steps)


def shown(x: Tensor, iterations: int, step: float, confidence: float = 0.0) -> Tensor:
    """Examples of class 0 as a linear classifier is shown them."""
    nets: Any = {"classifier": lambda x, train: x @ WEIGHTS}
    numbers = {"step": torch.tensor(step).double(), "confidence": torch.tensor(confidence).double()}
    out, y = Friendly(hypers(), 5, len(x)).present(nets, x, torch.zeros(len(x), dtype=torch.int64), iterations, numbers)
    assert not y.any()
    return out


def slope(x: Tensor) -> Tensor:
    """The gradient of the loss of an example of class 0: W (p − e₀)."""
    return WEIGHTS @ ((x @ WEIGHTS).softmax(0) - torch.tensor([1.0, 0, 0]).double())


@pytest.mark.parametrize("confidence", [0.0, 0.98])
def test_an_example_follows_its_gradient(confidence: float) -> None:
    expected = HARD.clone()
    for _ in range(3):
        expected = expected - 0.1 * slope(expected)
    assert torch.allclose(shown(HARD[None], 3, 0.1, confidence)[0], expected, rtol=1e-12)


def test_twice_the_examples_halve_the_step() -> None:
    alone, two = shown(HARD[None], 1, 0.1) - HARD, shown(torch.stack([HARD, HARD]), 1, 0.1) - HARD
    assert torch.allclose(two, alone.expand(2, -1) / 2, rtol=1e-12)


def test_the_step_grows_as_others_come_to_rest() -> None:
    """In the first iteration two share the mean, though one rests; from the second on one has it alone."""
    expected = HARD - 0.1 / 2 * slope(HARD)
    expected = expected - 0.1 * slope(expected)
    out = shown(torch.stack([EASY, HARD]), 2, 0.1)
    assert torch.equal(out[0], EASY)
    assert torch.allclose(out[1], expected, rtol=1e-12)


def test_an_example_that_rests_keeps_its_perturbation() -> None:
    moved = [shown(HARD[None], iterations, 0.5)[0] for iterations in range(1, 30)]
    right = [int((x @ WEIGHTS).argmax()) == 0 for x in moved]
    first = right.index(True)
    assert 0 < first < 28
    assert all(torch.equal(x, moved[first]) for x in moved[first:])


def test_a_batch_that_is_right_already_is_shown_as_it_is() -> None:
    assert torch.equal(shown(torch.stack([EASY, EASY]), 5, 10.0), torch.stack([EASY, EASY]))


def test_confidence_keeps_right_examples_moving() -> None:
    sure = (EASY @ WEIGHTS).softmax(0)[0].item()
    assert torch.equal(shown(EASY[None], 2, 0.1, sure - 1e-6)[0], EASY)
    assert not torch.equal(shown(EASY[None], 2, 0.1, sure + 1e-6)[0], EASY)


def test_it_is_in_eval_mode_while_examples_move() -> None:
    modes = []

    def classifier(x: Tensor, train: bool) -> Tensor:
        modes.append(train)
        return F.linear(x, WEIGHTS.T)

    numbers = {"step": torch.tensor(0.1), "confidence": torch.tensor(0.0)}
    Friendly(hypers(), 5, 1).present({"classifier": classifier}, HARD[None], torch.tensor([0]), 2, numbers)
    assert modes == [False, False]


@pytest.mark.parametrize(
    ("epochs", "ratio", "steps", "length"),
    [(200, 0.25, 1250, 62500), (250, 0.1, 313, 7825), (30, 0.25, 625, 4687), (30, 0.5, 2188, 32820), (200, 0.5, 313, 31300)],
)
def test_length_of_the_published_schedules(epochs: int, ratio: float, steps: int, length: int) -> None:
    h = hypers(epochs=epochs, ratio_simp=ratio, iterations_simp=10)
    last = -(-length // steps)  # the last epoch of which a batch is altered
    assert Friendly(h, 784, 0).altered(h, steps) == last
    assert "ft/strength" in plan(h, last, steps).values
    assert plan(h, last, steps).eligible == bool(length % steps)  # a switch inside an epoch makes it eligible
    assert plan(h, last + 1, steps).values == {}
    assert set(plan(h, last + 1, steps).passes[0].how) == {0}


def test_iterations_fade_and_are_cut_off() -> None:
    h = hypers(epochs=4, ratio_simp=0.5, iterations_simp=10)
    assert [list(plan(h, epoch, 4).passes[0].how) for epoch in (1, 2, 3)] == [[10, 7, 5, 3], [2, 1, 0, 0], [0] * 4]
    assert [plan(h, epoch, 4).eligible for epoch in (1, 2, 3, 4)] == [False, False, True, True]
    linear = hypers(epochs=4, ratio_simp=0.5, iterations_simp=10, scaling="linear")
    assert list(plan(linear, 1, 4).passes[0].how) == [10, 8, 7, 6]


@pytest.mark.parametrize("fields", [{"iterations_simp": 0}, {"ratio_simp": 0.0}])
def test_without_iterations_it_is_classic_training(fields: dict[str, Any]) -> None:
    h = hypers(epochs=4, **fields)
    for epoch in range(1, 5):
        each = plan(h, epoch, 4)
        assert (list(each.passes[0].how), dict(each.passes[0].numbers), each.eligible) == ([0] * 4, {}, True)
    assert Friendly(h, 784, 0).altered(h, 4) == 0
