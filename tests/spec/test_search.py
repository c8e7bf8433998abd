"""Searches in sweep files: samplers, pruners, and how answers become trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from nftlab.errors import SpecError
from nftlab.spec import Axis, Metric, Pruner, Sampler, Search, load_text, pruner_of
from nftlab.spec.distributions import DEFAULTS, Distribution, Range

HEAD = "method: bayes\nrun_cap: 5\nparameters:\n  lr: {min: 0.1, max: 0.5}\n"
GRID = "method: grid\nparameters: {lr: {value: 1}}\n"


def found(text: str) -> Search:
    search = load_text(text).search
    assert search is not None
    return search


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GRID + "nftlab: {sampler: {name: tpe}}", ["3:10: nftlab.sampler: only a search has a sampler; it needs method: bayes"]),
        (HEAD + "nftlab: {sampler: tpe}", ["5:19: nftlab.sampler: 'tpe' is not a mapping; write {name: tpe}"]),
        (HEAD + "nftlab: {sampler: {seed: 1}}", ["5:10: nftlab.sampler: name is missing; one of tpe, cmaes, gp, qmc, random, nsgaii"]),
        (HEAD + "nftlab: {sampler: {name: tpee}}", ["5:26: nftlab.sampler.name: 'tpee' is not one of tpe, cmaes,"]),
        (
            HEAD + "nftlab: {sampler: {name: tpe, n_startup: 3, multivariate: 1}}",
            [
                "5:31: nftlab.sampler.n_startup: unknown key; allowed: name, n_startup_trials,",
                "5:59: nftlab.sampler.multivariate: 1 is not true or false",
            ],
        ),
        (HEAD + "nftlab: {sampler: {name: nsgaii, crossover_prob: 2}}", ["5:50: nftlab.sampler.crossover_prob: 2 is above 1"]),
        (HEAD + "nftlab: {sampler: {name: qmc, qmc_type: sobo}}", ["5:41: nftlab.sampler.qmc_type: 'sobo' is not one of sobol, halton"]),
        (HEAD + "nftlab: {sampler: {name: tpe, multivariate: false, group: true}}", ["5:10: nftlab.sampler: group needs multi"]),
        (
            HEAD + "nftlab: {sampler: {name: cmaes, with_margin: true, use_separable_cma: true}}",
            ["5:10: nftlab.sampler: with_margin and use_separable_cma exclude each other"],
        ),
        (
            HEAD + "metric: {name: test/error}",
            ["5:1: metric: a search would choose by the test set; write metric: {name: val/error}"],
        ),
        (
            HEAD + "  algorithm: {value: nft}\nmetric: {name: nft/delta}",
            ["6:1: metric: a search is told the value at the best epoch, and not every epoch has 'nft/delta'; write val/error"],
        ),
        (
            GRID + "metric: {name: test/loss}\nnftlab: {pruner: {name: median}}",
            ["3:1: metric: a pruner would choose by the test set; write metric: {name: val/loss}"],
        ),
        (
            "method: bayes\nrun_cap: 5\nparameters:\n  lr: {distribution: q_uniform, min: 0.01, max: 1.0e+308, q: 0.001}\n"
            "  epochs: {value: 0}\n",
            ["5:"],
        ),
        (GRID + "nftlab: {pruner: {name: hyperband}}", ["3:10: nftlab.pruner: max_resource must be given"]),
        (GRID + "nftlab: {pruner: {name: threshold}}", ["3:10: nftlab.pruner: threshold needs lower, upper or both"]),
        (GRID + "nftlab: {pruner: {name: median, interval_steps: 0}}", ["3:49: nftlab.pruner.interval_steps: 0 is below 1"]),
        (
            GRID + "early_terminate: {type: hyperband}",
            ["3:1: early_terminate: strict is missing,", "3:1: early_terminate: no bands; write min_iter, or max_iter and s"],
        ),
        (GRID + "early_terminate: {type: envelope, strict: true}", ["3:25: early_terminate.type: 'envelope' is not one of hyperband"]),
        (
            GRID + "early_terminate: {type: hyperband, strict: 1, min_iter: 1, s: 2, eta: 1}",
            [
                "3:1: early_terminate: min_iter and max_iter exclude each other;",
                "3:44: early_terminate.strict: 1 is not true or false",
                "3:71: early_terminate.eta: 1 is not above 1",
            ],
        ),
        (
            GRID + "early_terminate: {type: hyperband, min_iter: 1, strict: true}\nnftlab: {pruner: {name: median}}",
            ["3:1: early_terminate: both early_terminate and nftlab.pruner; keep one"],
        ),
        (
            "method: bayes\nrun_cap: 5\nparameters:\n  lr: {values: [1, 2], probabilities: [0.5, 0.5]}",
            ["4:24: parameters.lr.probabilities: a sampler learns what is likely; probabilities need method: random"],
        ),
        (
            "method: bayes\nrun_cap: 5\nparameters: {lr: {values: [1, 2]}}",
            ["2:10: run_cap: 5 distinct trials are asked for; the parameters allow 2"],
        ),
        ("method: bayes\nrun_cap: 5\nparameters: {lr: {min: -1.0, max: 1}}", ["3:18: parameters.lr: -1.0 must be greater"]),
        (
            "method: bayes\nrun_cap: 1\nparameters: {network: {values: [fc-a, cnn-b]}, lr: {min: 0.1, max: 1}}",
            ["3:39: parameters.network.values: cnn-b needs images of at least 11×11"],
        ),
    ],
)
def test_problems(problems: Callable[[str], list[str]], text: str, expected: list[str]) -> None:
    told = problems(text)
    assert len(told) == len(expected), told
    assert all(a.startswith(b) for a, b in zip(told, expected, strict=True)), told


def test_a_search_has_no_trials_yet_and_every_argument_of_its_sampler() -> None:
    sweep = load_text(HEAD + "nftlab: {seeds: 3, sample_seed: 4}")
    assert (sweep.trials, sweep.asked, sweep.seeds) == ((), 5, (0, 1, 2))
    args = {"n_startup_trials": 10, "n_ei_candidates": 24, "multivariate": True, "group": False, "constant_liar": True}
    assert found(sweep.source).sampler == Sampler("tpe", args, 4)
    given = found(HEAD + "nftlab: {sample_seed: 4, sampler: {name: gp, n_startup_trials: 3, seed: 9}}")
    assert given.sampler == Sampler("gp", {"n_startup_trials": 3, "deterministic_objective": False}, 9)
    assert given.sampler.startup == 3


@pytest.mark.parametrize(
    ("parameters", "possible"),
    [
        ("epochs: {min: 1, max: 3}", 3),
        ("epochs: {min: 1, max: 3}, lr: {values: [1, 2]}", 6),
        ("lr: {distribution: q_uniform, min: 0.1, max: 0.4, q: 0.1}", 4),
        ("batch_size: {distribution: q_log_uniform_values, min: 8, max: 30, q: 8}", 4),
        ("algorithm: {values: [ct, nft]}, n_f: {min: 1, max: 3}", 4),
        ("epochs: {values: [1, 2]}, n_f: {min: 1, max: 3}, algorithm: {value: nft}, network: {value: fc-a}", 6),
    ],
)
def test_what_ranges_in_steps_allow_is_counted(problems: Callable[[str], list[str]], parameters: str, possible: int) -> None:
    enough, too_many = (f"method: bayes\nrun_cap: {cap}\nparameters: {{{parameters}}}" for cap in (possible, possible + 1))
    assert problems(enough) == []
    (told,) = problems(too_many)
    assert told.startswith(f"2:10: run_cap: {possible + 1} distinct trials are asked for; the parameters allow {possible}; lower run_cap")
    assert load_text(too_many, stored=True).asked == possible + 1, "as an earlier nftlab let it be launched"


def test_what_cannot_be_counted_is_not(problems: Callable[[str], list[str]]) -> None:
    for parameter in ("epochs: {min: 1, max: 1000000000000}", "lr: {distribution: normal, mu: 5}", "lr: {min: 1.0, max: 2}"):
        assert problems(f"method: bayes\nrun_cap: 9000\nparameters: {{algorithm: {{value: ct}}, {parameter}}}") == []


def test_pruners_belong_to_every_method_and_are_read_without_expanding() -> None:
    text = GRID + "metric: {name: val/loss}\nearly_terminate: {type: hyperband, max_iter: 9, s: 2, strict: false}\n"
    expected = Pruner("early_terminate", {"max_iter": 9, "s": 2, "eta": 3, "strict": False})
    assert load_text(text).pruner == expected
    assert pruner_of(text) == (expected, Metric("val/loss"))
    assert pruner_of(GRID) is None
    with pytest.raises(SpecError):
        pruner_of("method: gird")


@pytest.mark.parametrize(
    ("kind", "args", "expected"),
    [
        ("int_uniform", {"min": 1, "max": 4}, Range(1, 4, step=1)),
        ("uniform", {"min": 1, "max": 4}, Range(1.0, 4.0)),
        ("q_uniform", {"min": 1, "max": 4, "q": 0.5}, Range(1.0, 4.0, step=0.5)),
        ("log_uniform_values", {"min": 1e-3, "max": 1}, Range(1e-3, 1.0, log=True)),
        ("inv_log_uniform_values", {"min": 1e-3, "max": 1}, Range(1e-3, 1.0, log=True)),
        ("log_uniform", {"min": -3, "max": 0}, Range(math.exp(-3), 1.0, log=True)),
        ("inv_log_uniform", {"min": 0, "max": 3}, Range(math.exp(-3), 1.0, log=True)),
        ("normal", {"mu": 5, "sigma": 1}, Range(2.0, 8.0)),
        ("log_normal", {"mu": 0, "sigma": 1}, Range(math.exp(-3), math.exp(3), log=True)),
        ("beta", {"a": 2, "b": 2}, Range(0.0, 1.0)),
    ],
)
def test_where_a_sampler_looks(kind: str, args: dict[str, Any], expected: Range) -> None:
    assert Distribution(kind, args).range() == expected


@pytest.mark.parametrize("kind", DEFAULTS)
def test_what_is_drawn_in_a_range_lies_in_it(kind: str) -> None:
    needs = {"min": 1, "max": 4} if "uniform" in kind else {}
    place, rng = Distribution(kind, {**DEFAULTS[kind], **needs}).range(), Random(0)
    assert all(place.low <= place.draw(rng) <= place.high for _ in range(200))


def test_a_sampler_is_asked_only_about_what_applies() -> None:
    space = found(
        "method: bayes\nrun_cap: 2\nparameters:\n  eta_max: {min: 10, max: 20}\n  algorithm: {values: [ct, nft]}\n"
        "  epochs: {values: [2, 4]}\n  lr: {values: [0.1, 0.2]}\n  lr_simp: {min: 0.1, max: 1}\n"
        "nftlab: {zip: [[epochs, lr]], when: {lr_simp: {epochs: 4}}}\n"
    ).space
    asked: list[str] = []

    def answer(**answers: Any) -> Callable[[Axis], Any]:
        def suggest(axis: Axis) -> Any:
            asked.append(axis.name)
            return answers[axis.name.replace("+", "_")]

        return suggest

    plain = space.trial(answer(algorithm="ct", epochs_lr="4, 0.2"))
    assert (set(asked), len(asked)) == ({"algorithm", "epochs+lr"}, 2)
    assert (plain.config["algorithm"], plain.config["epochs"], plain.config["lr"]) == ("ct", 4, 0.2)
    asked.clear()
    full = space.trial(answer(algorithm="nft", epochs_lr="4, 0.2", eta_max=15, lr_simp=0.5))
    assert (sorted(asked), full.config["lr_simp"]) == (["algorithm", "epochs+lr", "eta_max", "lr_simp"], 0.5)
    asked.clear()
    space.trial(answer(algorithm="nft", epochs_lr="2, 0.1", eta_max=15))
    assert "lr_simp" not in asked


def test_spaces_are_equal_when_their_parameters_are() -> None:
    space = found(HEAD).space.identity
    assert found(HEAD.replace("run_cap: 5", "run_cap: 9").replace("0.5", "5e-1") + "nftlab: {seeds: 4}").space.identity == space
    assert found(HEAD.replace("0.5", "0.6")).space.identity != space


def test_a_search_may_ask_for_all_that_the_listed_values_allow(problems: Callable[[str], list[str]]) -> None:
    text = "method: bayes\nrun_cap: {}\nparameters: {{lr: {{values: [0.1, 0.2]}}, epochs: {{values: [1, 2]}}}}"
    assert problems(text.format(4)) == []
    assert len(problems(text.format(5))) == 1
