"""Distributions mean what W&B says they mean."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean, median, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftlab.spec.distributions import BOUNDED, DEFAULTS, Distribution

DRAWS = 2000


def draws(kind: str, **args: float) -> list[float]:
    distribution = Distribution(kind, {**DEFAULTS[kind], **args})
    return [distribution.draw(Random(f"{kind}/{i}")) for i in range(DRAWS)]


@pytest.mark.parametrize(
    ("kind", "args", "low", "high", "middle"),
    [
        ("uniform", {"min": 1, "max": 3}, 1, 3, 2),
        ("int_uniform", {"min": -2, "max": 2}, -2, 2, 0),
        ("log_uniform", {"min": -4, "max": 0}, math.exp(-4), 1, math.exp(-2)),
        ("inv_log_uniform", {"min": 0, "max": 4}, math.exp(-4), 1, math.exp(-2)),
        ("log_uniform_values", {"min": 1e-4, "max": 1}, 1e-4, 1, 1e-2),
        ("inv_log_uniform_values", {"min": 1e-4, "max": 1}, 1e-4, 1, 1e-2),
        ("normal", {"mu": 5, "sigma": 2}, -15, 25, 5),
        ("log_normal", {"mu": 1, "sigma": 0.1}, 1, 6, math.e),
        ("beta", {"a": 2, "b": 2}, 0, 1, 0.5),
    ],
)
def test_range_and_median(kind: str, args: dict[str, float], low: float, high: float, middle: float) -> None:
    values = draws(kind, **args)
    assert low <= min(values) < max(values) <= high
    spread = pstdev(values)
    assert abs(median(values) - middle) < 0.1 * spread


def test_normal_has_its_mean_and_deviation() -> None:
    values = draws("normal", mu=3, sigma=0.5)
    assert fmean(values) == pytest.approx(3, abs=0.05)
    assert pstdev(values) == pytest.approx(0.5, abs=0.03)


def test_int_uniform_takes_both_ends_alike() -> None:
    values = draws("int_uniform", min=1, max=3)
    assert all(isinstance(value, int) for value in values)
    assert [round(values.count(value) / DRAWS, 1) for value in (1, 2, 3)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize("kind", [kind for kind in DEFAULTS if kind.startswith("q_")])
def test_q_rounds_to_clean_multiples(kind: str) -> None:
    bounds = {"min": 0.1, "max": 0.9} if kind in BOUNDED else {}
    values = draws(kind, **bounds, q=0.1)
    assert all(value == round(value, 1) for value in values)
    whole = draws(kind, **bounds, q=2)
    assert all(isinstance(value, int) and value % 2 == 0 for value in whole)


@pytest.mark.parametrize(("kind", "args"), [("log_uniform", {"min": -1, "max": 1e6}), ("q_log_normal", {"mu": 1e5})])
def test_what_no_float_holds_is_infinite(kind: str, args: dict[str, float]) -> None:
    assert max(draws(kind, **args)) == math.inf


def test_q_uniform_grid_is_numpys_arange() -> None:
    assert Distribution("q_uniform", {"min": 0.1, "max": 0.5, "q": 0.1}).grid() == [0.1, 0.2, 0.3, 0.4]  # max excluded
    assert Distribution("q_uniform", {"min": 1, "max": 7, "q": 3}).grid() == [1, 4]
    assert Distribution("int_uniform", {"min": 1, "max": 3}).grid() == [1, 2, 3]
    assert Distribution("uniform", {"min": 1, "max": 3}).count() is None


@settings(max_examples=50, deadline=None)
@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 9))
def test_q_uniform_grid_of_integers(low: int, span: int, q: int) -> None:
    assert Distribution("q_uniform", {"min": low, "max": low + span, "q": q}).grid() == list(range(low, low + span, q))


def test_draws_never_change() -> None:
    """A stored file must expand to the same trials with every later version."""
    assert Distribution("uniform", {"min": 0, "max": 1}).draw(Random("0/0/0/lr")) == 0.8557306428436832
    assert Distribution("int_uniform", {"min": 0, "max": 99}).draw(Random("0/0/0/lr")) == 85
