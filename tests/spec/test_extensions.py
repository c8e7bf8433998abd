"""The settings under `nftlab:`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nftlab.spec import load_text

HEAD = """method: grid
parameters:
  algorithm: {value: nft}
  lr: {values: [1, 2]}
  epochs: {values: [1, 2]}
  eta_max: {values: [1, 2, 3]}
  n_f: {value: 8}
nftlab:
  """


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("seeds: 0", "9:10: nftlab.seeds: 0 is below 1"),
        ("seeds: -1", "9:10: nftlab.seeds: -1 is below 1"),
        ("seeds: true", "9:10: nftlab.seeds: true is not a whole number"),
        ("seeds: 1.5", "9:10: nftlab.seeds: 1.5 is not a whole number"),
        ("seeds: 1000000000", "9:10: nftlab.seeds: 1000000000 is above 10000"),
        ("seeds: []", "9:10: nftlab.seeds: the list is empty"),
        ("seeds: [1, 2, 1]", "9:17: nftlab.seeds: seed 1 is listed twice"),
        ("seeds: [-1]", "9:11: nftlab.seeds: -1 is below 0"),
        ("seeds: [1, true]", "9:14: nftlab.seeds: true is not a whole number"),
        ("zip: [lr, epochs]", "9:8: nftlab.zip: is a list of groups; write zip: [[lr, batch_size], …]"),
        ("zip: [[lr]]", "9:9: nftlab.zip: a group of one; zip two or more parameters"),
        ("zip: [[lr, epoch]]", "9:14: nftlab.zip: 'epoch' is not in parameters (did you mean 'epochs'?)"),
        ("zip: [[lr, 3]]", "9:14: nftlab.zip: 3 is not the name of a parameter"),
        ("zip: [[lr, n_f]]", "9:14: nftlab.zip: n_f has no list of values to zip;"),
        ("zip: [[lr, lr]]", "9:14: nftlab.zip: lr is zipped twice"),
        ("zip: [[lr, epochs], [lr, eta_max]]", "9:24: nftlab.zip: lr is zipped twice"),
        ("zip: [[lr, eta_max]]", "9:9: nftlab.zip: lengths differ: lr has 2, eta_max has 3"),
        ("when: {lrr: {epochs: 1}}", "9:10: nftlab.when.lrr: not in parameters (did you mean 'lr'?)"),
        ("when: {lr: {epoch: 1}}", "9:15: nftlab.when.lr.epoch: 'epoch' is not in parameters (did you mean 'epochs'?)"),
        ("when: {lr: {epochs: 3}}", "9:23: nftlab.when.lr.epochs: epochs is never 3; it takes 1, 2"),
        ("when: {lr: {epochs: [1, 4]}}", "9:27: nftlab.when.lr.epochs: epochs is never 4;"),
        ("when: {lr: {epochs: []}}", "9:23: nftlab.when.lr.epochs: the list is empty"),
        ("when: {lr: {epochs: {a: 1}}}", "9:23: nftlab.when.lr.epochs: a mapping is not a single value"),
        ("when: {lr: {}}", "9:10: nftlab.when.lr: no condition; write lr: {other: value}"),
        ("when: {lr: 3}", "9:14: nftlab.when.lr: 3 is not a mapping"),
        ("when: {lr: {lr: 1}}", "9:9: nftlab.when: lr depends on itself"),
        ("when: {lr: {epochs: 1}, epochs: {lr: 1}}", "9:9: nftlab.when: lr depends on itself: lr on epochs on lr"),
        ("when: {algorithm: {lr: 1}}", "9:10: nftlab.when.algorithm: algorithm is what decides"),
        ("priority: high", "9:13: nftlab.priority: 'high' is not a whole number"),
        ("retries: -1", "9:12: nftlab.retries: -1 is below 0"),
        ("sample_seed: 1", "9:3: nftlab.sample_seed: a grid draws nothing; sample_seed needs method: random"),
        ("budget: 10", "9:3: nftlab.budget: is a worker's option: nftlab worker --budget"),
        (
            "sede: 1",
            "9:3: nftlab.sede: unknown key; allowed: seeds, zip, when,",
        ),
    ],
)
def test_problems(problems: Callable[[str], list[str]], setting: str, problem: str) -> None:
    (found,) = problems(HEAD + setting)
    assert found.startswith(problem)


def test_zip_may_repeat_values_but_not_rows(problems: Callable[[str], list[str]]) -> None:
    head = "method: grid\nparameters:\n  lr: {values: [1, 1, 2]}\n  epochs: "
    rows = load_text(head + "{values: [5, 6, 5]}\nnftlab: {zip: [[lr, epochs]]}")
    assert [(t.config["lr"], t.config["epochs"]) for t in rows.trials] == [(1, 5), (1, 6), (2, 5)]
    assert problems(head + "{values: [5, 5.0, 6]}\nnftlab: {zip: [[lr, epochs]]}") == [
        "3:20: parameters.lr.values: the row 1, 5.0 of lr, epochs is listed twice"
    ]


def test_values_and_defaults() -> None:
    sweep = load_text(HEAD + "seeds: [3, 0]\n  priority: -2\n  retries: 0")
    assert (sweep.seeds, sweep.priority, sweep.retries) == ((3, 0), -2, 0)
    assert load_text(HEAD + "seeds: 3").seeds == (0, 1, 2)
    plain = load_text(HEAD.removesuffix("nftlab:\n  "))
    assert (plain.seeds, plain.priority, plain.retries) == ((0,), 0, 3)


def test_a_zip_with_a_member_that_could_not_be_read_hides_no_other_problem(problems: Callable[[str], list[str]]) -> None:
    told = problems("method: grid\nparameters:\n  lr: {valu: 3}\n  epochs: {values: [1, 0]}\nnftlab: {zip: [[lr, epochs]]}")
    assert [problem.split(": ")[:2] for problem in told] == [["3:8", "parameters.lr.valu"], ["4:24", "parameters.epochs.values"]]


def test_true_is_not_taken_for_1_that_is_listed_too(problems: Callable[[str], list[str]]) -> None:
    (told,) = problems("method: grid\nparameters:\n  epochs: {values: [true, 1]}")
    assert told.startswith("3:21: parameters.epochs.values: True is not")
