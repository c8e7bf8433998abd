"""NFT's schedule and objective: the test vectors of the published program and of the paper's Eq. 5."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nftlab.configuration import build
from nftlab.methods import NeuralFriendly, Pass, Plan
from nftlab.methods.neural_friendly import schedule


def hypers(mode: str = "code", **fields: Any) -> Any:
    return build({"algorithm": "nft", "mode": mode, "dataset": "mnist", **fields})


def plan(h: Any, epoch: int, steps: int, features: int = 784) -> Plan:
    return NeuralFriendly(h, features, 0).plan(h, epoch, steps)


def passes(plan: Plan) -> list[str]:
    return [each.trains for each in plan.passes]


def learning(plan: Plan) -> Pass:
    return next(each for each in plan.passes if each.trains == "classifier")


@pytest.mark.parametrize(("epoch", "eta"), [(2, 0.040400), (3, 0.079967), (25, 0.739692), (50, 1.0)])
def test_penalty_of_the_paper(epoch: int, eta: float) -> None:
    h = hypers("paper", epochs=200, ratio_simp=0.25, eta_max=1.0)
    assert plan(h, epoch, 313).values["nft/eta"] == pytest.approx(eta, abs=5e-7)


def test_the_papers_first_epoch_is_of_raw_data_and_its_last_ones_too() -> None:
    h = hypers("paper", epochs=200, ratio_simp=0.25, eta_max=1.0)
    assert schedule(h, 313).strength(1, 0) == 1.0  # η = 0
    assert schedule(h, 313).strength(51, 0) == 0.0  # η = η_max
    for epoch in (1, 51, 200):
        assert passes(plan(h, epoch, 313)) == ["classifier"]
        assert set(learning(plan(h, epoch, 313)).how) == {0}
    for epoch in (2, 50):
        assert passes(plan(h, epoch, 313)) == ["simplifier", "classifier"]
        assert set(learning(plan(h, epoch, 313)).how) == {1}
    assert all(plan(h, epoch, 313).eligible for epoch in (1, 2, 50, 51))


@pytest.mark.parametrize(("epoch", "eta"), [(1, 0.039475), (2, 0.078277), (25, 0.749936), (49, 0.999597)])
def test_penalty_of_the_code(epoch: int, eta: float) -> None:
    h = hypers(epochs=200, ratio_simp=0.25, eta_max=1.0)
    assert plan(h, epoch, 313).values["nft/eta"] * 784 / 2 == pytest.approx(eta, abs=5e-7)


def test_the_codes_last_simplified_epoch() -> None:
    h = hypers(epochs=200, ratio_simp=0.25)
    assert schedule(h, 313).length == 15650
    last = plan(h, 50, 313)
    assert last.values["nft/strength"] == pytest.approx(4.08e-9, rel=1e-3)
    assert passes(last) == ["classifier", "simplifier"]
    assert not last.eligible
    after = plan(h, 51, 313)
    assert passes(after) == ["classifier"]
    assert after.eligible
    assert set(learning(after).how) == {0}


@pytest.mark.parametrize(
    ("epochs", "ratio", "steps", "length"),
    [(30, 0.85, 625, 15937), (30, 0.05, 2188, 3282), (250, 0.7, 313, 54775), (200, 0.85, 1250, 212500)],
)
def test_length_of_the_codes_schedule(epochs: int, ratio: float, steps: int, length: int) -> None:
    assert schedule(hypers(epochs=epochs, ratio_simp=ratio), steps).length == length


def test_a_switch_inside_an_epoch_skips_the_simplifiers_pass_and_makes_the_epoch_eligible() -> None:
    within = plan(hypers(epochs=30, ratio_simp=0.05), 2, 2188)
    how = list(learning(within).how)
    assert how == [1] * (3282 - 2188) + [0] * (2 * 2188 - 3282)
    assert passes(within) == ["classifier"]
    assert within.eligible


def test_no_epoch_before_the_switch_is_eligible_in_the_code() -> None:
    h = hypers(epochs=10, ratio_simp=0.5)
    assert [plan(h, epoch, 7).eligible for epoch in range(1, 11)] == [False] * 5 + [True] * 5


@pytest.mark.parametrize("ratio", [0.9, 0.99, 0.999999999])
def test_the_last_epoch_is_always_eligible(ratio: float) -> None:
    assert plan(hypers(epochs=3, ratio_simp=ratio), 3, 5).eligible


@pytest.mark.parametrize(("mode", "ratio", "epochs"), [("paper", 0.25, 7), ("paper", 0.0, 9), ("code", 0.0, 9)])
def test_too_short_a_schedule_is_classic_training(mode: str, ratio: float, epochs: int) -> None:
    h = hypers(mode, ratio_simp=ratio, epochs=epochs)
    for epoch in range(1, epochs + 1):
        each = plan(h, epoch, 4)
        assert (passes(each), list(learning(each).how), each.eligible) == (["classifier"], [0] * 4, True)


def test_a_papers_schedule_of_one_epoch_is_classic_training_whatever_it_starts_with() -> None:
    h = hypers("paper", ratio_simp=0.25, epochs=7, first_epoch="simplified")
    assert (passes(plan(h, 1, 4)), list(learning(plan(h, 1, 4)).how)) == (["classifier"], [0] * 4)
    assert NeuralFriendly(h, 784, 0).altered(h, 4) == 0


def test_linear_scaling_fades_linearly() -> None:
    fading = schedule(hypers(scaling="linear", epochs=10, ratio_simp=0.5), 4)
    assert [fading.strength(1, 0), fading.strength(3, 2), fading.strength(6, 0)] == [1.0, 0.5, 0.0]


def test_the_papers_schedule_can_start_with_simplified_data() -> None:
    h = hypers("paper", epochs=10, ratio_simp=0.5, first_epoch="simplified")
    assert passes(plan(h, 1, 4)) == ["simplifier", "classifier"]
    assert list(learning(plan(h, 1, 4)).how) == [1] * 4


def test_later_passes_of_the_simplifier_find_the_classifier_in_eval_mode() -> None:
    each = plan(hypers(iterations_simp=3, epochs=10, ratio_simp=0.5), 1, 2)
    tutoring = [p for p in each.passes if p.trains == "simplifier"]
    assert [(p.how[0], p.dropout) for p in tutoring] == [(1, True), (0, False), (0, False)]
    assert len({p.stream for p in each.passes}) == 4


PENALTIES = [
    *((784, 500, 1.276), (784, 1000, 2.551), (784, 2000, 5.102)),
    *((3072, 500, 0.326), (3072, 1000, 0.651), (20002, 1000, 0.100), (768, 500, 1.302)),
]


@pytest.mark.parametrize(("d", "eta_max", "weight"), PENALTIES)
def test_weight_of_the_penalty_that_the_code_adds_twice(d: int, eta_max: float, weight: float) -> None:
    h = hypers(epochs=200, ratio_simp=0.25, eta_max=eta_max)
    each = plan(h, 50, 313, features=d)
    assert each.values["nft/eta"] == pytest.approx(weight, abs=6e-4)


def objective(h: Any, number: float, x: Tensor, simple: Tensor, y: Tensor) -> Tensor:
    """The tutor's objective where the simplifier answers `simple` and the classifier is a sum over columns."""
    nets = {"simplifier": lambda x, y, train: simple, "classifier": lambda x, masks, train: x.view(len(x), 3, -1).sum(-1)}
    method = NeuralFriendly(h, x[0].numel(), len(x))
    return method.tutor(nets, x, y, (), 0, {"eta": torch.tensor(number, dtype=x.dtype)})[0]


def test_gradient_of_the_codes_penalty() -> None:
    h, x, y = hypers(epochs=10, ratio_simp=0.5, eta_max=500.0), torch.rand(4, 3, 6, 2).double(), torch.tensor([0, 1, 2, 1])
    simple = torch.rand_like(x).requires_grad_()
    planned = plan(h, 2, 5, features=36)
    strength, eta = planned.values["nft/strength"], planned.passes[1].numbers["eta"][0]
    (gradient,) = torch.autograd.grad(objective(h, eta, x, simple, y), simple)
    (ce,) = torch.autograd.grad(objective(h, 0.0, x, simple, y), simple)
    (mse,) = torch.autograd.grad(torch.nn.functional.mse_loss(simple, x), simple)
    assert torch.allclose(gradient, ce + 2 * 500.0 * (1 - strength) * mse, rtol=1e-12, atol=0)


def test_the_papers_penalty_is_eta_times_the_mean_squared_norm() -> None:
    h, x, y = hypers("paper"), torch.rand(4, 3, 6, 2).double(), torch.tensor([0, 1, 2, 1])
    simple = torch.rand_like(x)
    penalty = objective(h, 3.0, x, simple, y) - objective(h, 0.0, x, simple, y)
    assert penalty.item() == pytest.approx(3.0 * (simple - x).flatten(1).norm(dim=1).square().mean().item())
