"""Expansion is a pure function: the file's order, every combination once, keys that depend on nothing but the configuration."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftlab.configuration import build, config_of
from nftlab.errors import SpecError
from nftlab.hypers import ALGORITHMS
from nftlab.spec import Sweep, job_key, load_text


def grid(parameters: str, nftlab: str = "") -> Sweep:
    return load_text(f"method: grid\nparameters: {{{parameters}}}\n" + (f"nftlab: {{{nftlab}}}" if nftlab else ""))


def rows(sweep: Sweep, *names: str) -> list[tuple[object, ...]]:
    return [tuple(trial.config.get(name) for name in names) for trial in sweep.trials]


POOL: dict[str, list[object]] = {
    "algorithm": ["ct", "nft"],
    "network": ["fc-a", "fc-b", "cnn-a"],
    "epochs": [5, 10, 20],
    "lr": [1e-3, 0.01, 0.5],
    "batch_size": [16, 32],
    "test_curve": [True, False],
}
grids = st.lists(st.sampled_from(sorted(POOL)), unique=True, min_size=1).flatmap(
    lambda names: st.fixed_dictionaries({name: st.lists(st.sampled_from(POOL[name]), unique=True, min_size=1) for name in names})
)


def written(values: dict[str, list[object]]) -> str:
    return ", ".join(f"{name}: {{values: {str(listed).replace('T', 't').replace('F', 'f')}}}" for name, listed in values.items())


@settings(max_examples=30, deadline=None)
@given(grids)
def test_a_grid_is_the_product_in_file_order(values: dict[str, list[object]]) -> None:
    sweep = grid(written(values))
    expected = [dict(zip(values, point, strict=True)) for point in product(*values.values())]
    assert [trial.config for trial in sweep.trials] == [config_of(build({"algorithm": "ct", **point})) for point in expected]
    assert len({trial.key for trial in sweep.trials}) == len(expected)
    assert sweep.duplicates == 0


@settings(max_examples=15, deadline=None)
@given(grids, st.randoms(use_true_random=False))
def test_keys_do_not_depend_on_the_order_of_keys(values: dict[str, list[object]], shuffle: object) -> None:
    names = list(values)
    shuffle.shuffle(names)  # type: ignore[attr-defined]
    shuffled = {name: values[name] for name in names}
    assert {trial.key for trial in grid(written(values)).trials} == {trial.key for trial in grid(written(shuffled)).trials}


@pytest.mark.parametrize("number", ["1", "1.0", "1e0", "10e-1", "+1", "0x1"])
def test_keys_do_not_depend_on_the_spelling_of_numbers(number: str) -> None:
    assert grid(f"lr: {{value: {number}}}, epochs: {{value: {number}}}").trials == grid("epochs: {value: 1}, lr: {value: 1}").trials


def test_golden_keys() -> None:
    """Stored job tables know their trials by these: a change here makes every finished run look unknown."""
    ct, nft = grid("algorithm: {values: [ct, nft]}, network: {value: cnn-a}, epochs: {value: 20}").trials
    assert ct.key == "16136169fabae7ba"
    assert ct.pack_key == "6d5d17887ee5f789"
    assert nft.key == "729fb074f6243d59"
    assert job_key("quick-nft", ct.key, 0) == "0d556e7f72106374"


def test_pack_key_is_of_what_fixes_shapes() -> None:
    a, b = grid("lr: {values: [1e-3, 1e-4]}").trials
    c, d = grid("batch_size: {values: [16, 32]}").trials
    assert a.pack_key == b.pack_key == d.pack_key != c.pack_key


def test_jobs_are_trials_times_seeds_with_seeds_fastest() -> None:
    sweep = grid("lr: {values: [1, 2]}", "seeds: [4, 2]")
    first, second = sweep.trials
    assert [(trial, seed) for _, trial, seed in sweep.jobs()] == [(first, 4), (first, 2), (second, 4), (second, 2)]
    assert len({key for key, _, _ in sweep.jobs()}) == 4


def test_a_job_is_named_by_its_sweep_too() -> None:
    assert job_key("a", "0" * 16, 1) != job_key("b", "0" * 16, 1)


def test_what_an_algorithm_does_not_declare_is_dropped_there() -> None:
    sweep = grid("algorithm: {values: [ct, nft]}, eta_max: {values: [500, 2000]}, lr_simp: {value: 1e-3}")
    assert rows(sweep, "algorithm", "eta_max") == [("ct", None), ("nft", 500), ("nft", 2000)]
    assert sweep.duplicates == 0
    assert sweep.notes == (
        "eta_max, lr_simp do not apply to ct: dropped there",
        "4 grid points are 3 trials: those that differ only in what was dropped are one",
    )
    assert grid("algorithm: {values: [ct, nft]}, n_f: {value: 4}").notes == ("n_f does not apply to ct: dropped there",)


def test_zip_advances_together_where_its_first_member_stands() -> None:
    sweep = grid(
        "lr: {values: [1, 2]}, network: {values: [fc-a, cnn-a]}, epochs: {values: [10, 20]}, batch_size: {values: [8, 16]}",
        "zip: [[epochs, lr]]",
    )
    assert rows(sweep, "lr", "epochs", "network", "batch_size") == [
        (lr, epochs, network, batch) for lr, epochs in [(1, 10), (2, 20)] for network in ["fc-a", "cnn-a"] for batch in [8, 16]
    ]


def test_zip_with_a_dropped_member_is_no_duplicate() -> None:
    sweep = grid(
        "algorithm: {values: [ct, nft]}, network: {values: [fc-a, fc-a, cnn-a]}, eta_max: {values: [1, 2, 1]}", "zip: [[network, eta_max]]"
    )
    assert rows(sweep, "algorithm", "network", "eta_max") == [
        ("ct", "fc-a", None),
        ("ct", "cnn-a", None),
        ("nft", "fc-a", 1),
        ("nft", "fc-a", 2),
        ("nft", "cnn-a", 1),
    ]
    assert sweep.duplicates == 0


def test_when_leaves_a_parameter_at_its_default_elsewhere() -> None:
    sweep = grid(
        "algorithm: {value: nft}, scaling: {values: [quadratic, linear]}, eta_max: {values: [5, 6]}, lr_simp: {values: [1, 2]}",
        "when: {eta_max: {scaling: linear}, lr_simp: {eta_max: [6]}}",
    )
    assert rows(sweep, "scaling", "eta_max", "lr_simp") == [
        ("quadratic", 1000, 1e-4),
        ("linear", 5, 1e-4),
        ("linear", 6, 1),
        ("linear", 6, 2),
    ]


def test_all_conditions_of_a_parameter_must_hold() -> None:
    sweep = grid("epochs: {values: [1, 2]}, batch_size: {values: [8, 16]}, lr: {value: 1}", "when: {lr: {epochs: 2, batch_size: [16]}}")
    assert rows(sweep, "lr") == [(1e-4,), (1e-4,), (1e-4,), (1,)]


def test_a_condition_on_what_the_algorithm_lacks_does_not_hold() -> None:
    sweep = grid("algorithm: {values: [ct, nft]}, eta_max: {value: 5}, lr: {value: 1}", "when: {lr: {eta_max: 5}}")
    assert rows(sweep, "algorithm", "lr") == [("ct", 1e-4), ("nft", 1)]


def test_a_parameter_that_never_applies_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"2:.*parameters\.eta_max: never applies") as caught:
        grid("algorithm: {values: [ct, nft]}, eta_max: {value: 5}, lr: {value: 1}", "when: {eta_max: {algorithm: ct}}")
    assert len(caught.value.problems) == 1


def test_points_of_distributions_on_a_grid() -> None:
    sweep = grid("epochs: {min: 1, max: 3}, lr: {distribution: q_uniform, min: 0.1, max: 0.4, q: 0.1}")
    assert rows(sweep, "epochs", "lr") == list(product([1, 2, 3], [0.1, 0.2, 0.3]))


def test_a_large_grid_gives_a_handful_of_messages() -> None:
    many = ", ".join(str(value) for value in range(1, 501))
    with pytest.raises(SpecError) as caught:
        grid(
            f"algorithm: {{value: nft}}, eta_max: {{values: [{many}]}}, lr: {{values: [1, -1]}}, scaling: {{value: cubic}}, "
            "dataset: {values: [digits, two-moons]}, network: {values: [fc-a, cnn-a]}"
        )
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "parameters.lr.values: -1 must be greater than 0",
        "parameters.scaling.value: 'cubic' is not one of quadratic, linear",
        "parameters.network.values: cnn-a needs images, two-moons has vectors of 2: use fc-a or fc-b",
    ]


def test_too_many_points_are_refused_before_they_are_made() -> None:
    with pytest.raises(SpecError, match=r"1000000000 points; a grid has at most 100000"):
        grid("epochs: {min: 1, max: 1000}, batch_size: {min: 1, max: 1000}, lr: {min: 1, max: 1000}")


def test_too_many_jobs_are_refused_though_trials_and_seeds_alone_are_few_enough() -> None:
    with pytest.raises(SpecError, match=r"101 trials of 10000 seeds are 1010000 jobs; a sweep has at most 1000000"):
        grid("epochs: {min: 1, max: 101}", "seeds: 10000")
    assert len(grid("epochs: {min: 1, max: 100}", "seeds: 10000").seeds) == 10_000


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_too_many_jobs_of_drawn_trials_are_told_where_their_number_stands(method: str) -> None:
    text = f"method: {method}\nrun_cap: 101\nmetric: {{name: val/error, goal: minimize}}\nparameters: {{lr: {{min: 0.001, max: 0.1}}}}\n"
    with pytest.raises(SpecError, match=r":2:10: run_cap: 101 trials of 10000 seeds are 1010000 jobs"):
        load_text(text + "nftlab: {seeds: 10000}")
    assert len(load_text(text.replace("101", "100") + "nftlab: {seeds: 10000}").seeds) == 10_000


RANDOM = """method: random
run_cap: {cap}
parameters:
  network: {{values: [fc-a, cnn-a], probabilities: [0.9, 0.1]}}
  lr: {{distribution: log_uniform_values, min: 1e-5, max: 1e-1}}
  epochs: {{min: 1, max: 1000}}
{more}"""


def test_random_draws_are_reproducible_and_independent() -> None:
    short, long = load_text(RANDOM.format(cap=10, more="")), load_text(RANDOM.format(cap=30, more=""))
    assert long.trials[:10] == short.trials
    wider = load_text(RANDOM.format(cap=10, more="  weight_decay: {min: 0.0, max: 1.0}\n"))
    assert rows(wider, "network", "lr", "epochs") == rows(short, "network", "lr", "epochs")
    other = load_text(RANDOM.format(cap=10, more="nftlab: {sample_seed: 1}"))
    assert other.trials != short.trials


def test_random_draws_follow_their_distributions() -> None:
    sweep = load_text(RANDOM.format(cap=400, more=""))
    networks = [network for (network,) in rows(sweep, "network")]
    assert 0.85 < networks.count("fc-a") / 400 < 0.95
    logs = [math.log10(lr) for (lr,) in rows(sweep, "lr")]  # type: ignore[arg-type]
    assert -3.15 < sum(logs) / 400 < -2.85


def test_random_trials_are_distinct_down_to_the_last() -> None:
    parameters = "{{algorithm: {{values: [ct, nft]}}, n_f: {{values: [4, 8]}}, network: {{values: [fc-a, cnn-a]}}}}"
    text = f"method: random\nrun_cap: {{}}\nparameters: {parameters}"
    assert len({trial.key for trial in load_text(text.format(6)).trials}) == 6
    with pytest.raises(SpecError, match=r"2:10: run_cap: 7 distinct trials are asked for; the listed values allow 6; lower run_cap"):
        load_text(text.format(7))


def test_random_keeps_zip_and_when() -> None:
    sweep = load_text(
        "method: random\nrun_cap: 8\nparameters: {algorithm: {value: nft}, n_f: {values: [4, 8]}, epochs: {values: [1, 2]}, "
        "eta_max: {min: 1.0, max: 9.0}, lr: {min: 1.0, max: 2.0}}\nnftlab: {zip: [[n_f, epochs]], when: {lr: {n_f: 8}}}"
    )
    assert set(rows(sweep, "n_f", "epochs")) == {(4, 1), (8, 2)}
    assert all((lr == 1e-4) == (n_f == 4) for n_f, lr in rows(sweep, "n_f", "lr"))


def test_a_space_with_few_distinct_draws_says_what_came_up() -> None:
    with pytest.raises(SpecError, match=r"4 distinct trials are asked for; only 3 came up in 1000 more draws"):
        load_text("method: random\nrun_cap: 4\nparameters: {epochs: {min: 1, max: 3}}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_expands_with_its_defaults(algorithm: str) -> None:
    (trial,) = grid(f"algorithm: {{value: {algorithm}}}").trials
    assert trial.config == config_of(ALGORITHMS[algorithm](**trial.config))
    assert "seed" not in trial.config
