"""Scaled-down copies of sweeps: sweep files of their own, with fewer epochs on a part of the data, and nothing else changed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from nftlab.errors import UsageError
from nftlab.papers import item_sweeps, load_paper, scaled
from nftlab.spec import Sweep, load_text

HEAD = "# nftlab sweep launch x\n# 400 jobs\nname: big\nmethod: grid\nparameters:\n  dataset: {value: mnist-rot}  # ten thousand rows\n"


def sweep(rest: str) -> Sweep:
    return load_text(HEAD + rest)


def values(found: Sweep, name: str) -> list[Any]:
    return list(dict.fromkeys(trial.config[name] for trial in found.trials))


def test_a_copy_is_a_sweep_file_of_its_own_that_means_the_same_again() -> None:
    small = scaled(sweep("  lr: {values: [1e-4, 5e-4]}\n  epochs: {value: 200}\nnftlab: {seeds: 3}\n"), 0.05)
    assert (small.name, small.path) == ("big-at-0.05", "big-at-0.05.yaml")
    assert (values(small, "epochs"), values(small, "data_share"), values(small, "lr")) == ([10], [0.05], [1e-4, 5e-4])
    assert small.seeds == (0, 1, 2)
    assert "400 jobs" not in small.source
    assert "# ten thousand rows" in small.source
    again = load_text(small.source)
    assert [trial.key for trial in again.trials] == [trial.key for trial in small.trials]
    assert again.name == small.name


@pytest.mark.parametrize(
    ("rest", "scale", "epochs"),
    [
        ("  epochs: {value: 200}\n", 0.1, [20]),
        ("  epochs: {value: 200}\n", 0.01, [5]),
        ("  epochs: {value: 30}\n", 0.05, [5]),
        ("  epochs: {value: 3}\n", 0.05, [3]),
        ("  epochs: {values: [200, 100]}\n", 0.5, [100, 50]),
        ("  epochs: {values: [60, 80, 200]}\n", 0.05, [5, 10]),
        ("  lr: {value: 1e-3}\n", 0.05, [10]),
        ("  epochs: {values: [60, 80]}\n  lr: {values: [1e-3, 1e-4]}\nnftlab: {zip: [[epochs, lr]]}\n", 0.05, [5]),
    ],
)
def test_epochs(rest: str, scale: float, epochs: list[int]) -> None:
    assert values(scaled(sweep(rest), scale), "epochs") == epochs


@pytest.mark.parametrize(
    ("dataset", "scale", "share"),
    [
        ("{value: mnist-rot}", 0.05, 0.05),
        ("{value: mnist-rot}", 0.01, 0.05),
        ("{value: convex}", 0.05, 0.0834),
        ("{values: [mnist-rot, convex]}", 0.05, 0.0834),
        ("{value: digits}", 0.05, 0.4178),
        ("{value: two-moons}", 0.05, 1.0),
        ("{value: mnist-rot}\n  data_share: {value: 0.5}", 0.2, 0.1),
    ],
)
def test_the_smallest_data_set_keeps_500_training_rows(dataset: str, scale: float, share: float) -> None:
    found = scaled(load_text(f"method: grid\nparameters:\n  dataset: {dataset}\n", name="x"), scale)
    assert values(found, "data_share") == [share]


def test_a_search_is_scaled_though_it_has_no_trials_yet() -> None:
    head = "method: bayes\nrun_cap: 3\nmetric: {name: val/error}\nparameters:\n"
    small = scaled(load_text(f"{head}  dataset: {{values: [digits, mnist-rot]}}\n  lr: {{min: 1e-4, max: 1e-2}}\n", name="x"), 0.05)
    assert small.search is not None
    trial = small.search.space.trial(lambda axis: axis.draw(Random(0)))
    assert (trial.config["epochs"], trial.config["data_share"]) == (10, 0.4178)


@pytest.mark.parametrize(
    "rest", ["  epochs: {min: 5, max: 9}\n", "  data_share: {values: [0.5, 1]}\n"], ids=["epochs drawn", "several shares"]
)
def test_what_cannot_be_scaled_is_refused(rest: str) -> None:
    with pytest.raises(UsageError, match="no scaled-down copy"):
        scaled(sweep(rest), 0.05)


def test_every_sweep_of_the_paper_has_a_copy_with_as_many_jobs() -> None:
    for item in load_paper("nft").items:
        if "search" in item.name:
            continue  # the same parameters in greater number
        for full, small in zip(item_sweeps(item).values(), item_sweeps(item, 0.05).values(), strict=True):
            assert len(small.trials) == len(full.trials)
            assert small.name == f"{full.name}-at-0.05"
            assert not {trial.key for trial in small.trials} & {trial.key for trial in full.trials}
