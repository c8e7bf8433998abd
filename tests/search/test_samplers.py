"""Every sampler and pruner that a sweep file may name is one of Optuna's, with arguments that it takes."""

from __future__ import annotations

import inspect
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine

from nftlab.search import Proposer
from nftlab.search.prune import build_pruner
from nftlab.search.study import build_sampler
from nftlab.spec import Pruner, Sampler, load_text
from nftlab.spec.choosers import PRUNERS, SAMPLERS
from nftlab.store import Queue, jobs, launch
from tests.search.lab import ME, search, study, train
from tests.store.jobtable import CODE


def defaults(table: dict[str, Any]) -> dict[str, Any]:
    return {name: argument.default for name, argument in table.items()}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_takes_its_arguments(name: str) -> None:
    found = build_sampler(Sampler(name, defaults(SAMPLERS[name]), 3), 0)
    assert set(SAMPLERS[name]) <= set(inspect.signature(type(found).__init__).parameters)


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_takes_its_arguments(name: str) -> None:
    args = defaults(PRUNERS[name]) | ({"upper": 1.0} if name == "threshold" else {})
    found = build_pruner(Pruner(name, args))
    assert isinstance(found, optuna.pruners.BasePruner)
    assert set(PRUNERS[name]) <= set(inspect.signature(type(found).__init__).parameters)


def test_conditional_and_zipped_parameters_reach_the_study_only_where_they_apply(sqlite: Engine) -> None:
    space = (
        "  algorithm: {values: [ct, nft]}\n  dataset: {value: digits}\n  epochs: {values: [2, 4]}\n  lr: {values: [1e-3, 1e-2]}\n"
        "  eta_max: {distribution: q_log_uniform_values, min: 10, max: 1000, q: 5}\n  n_f: {min: 2, max: 8}\n"
        "  weight_decay: {distribution: normal, mu: 0.5, sigma: 0.1}\n"
    )
    text = search(12, seeds=1, parameters=space, sampler="{name: random, seed: 4}").source
    sweep = load_text(text + "  zip: [[epochs, lr]]\n  when: {weight_decay: {epochs: 4}}\n", "test")
    launch(sqlite, sweep, code=CODE)
    while Proposer(sqlite, ME, print).propose(12):
        pass
    trials = {trial.user_attrs["trial_key"]: trial.params for trial in study(sqlite).trials}
    assert {job.config["algorithm"] for job in jobs(sqlite)} == {"ct", "nft"}
    for job in jobs(sqlite):
        params, config = trials[job.trial_key], job.config
        assert params["epochs+lr"] == {2: "2, 0.001", 4: "4, 0.01"}[config["epochs"]]
        assert ("eta_max" in params) == ("n_f" in params) == (config["algorithm"] == "nft")
        assert ("weight_decay" in params) == (config["epochs"] == 4)
        if "eta_max" in params:
            assert config["eta_max"] == 5 * round(params["eta_max"] / 5)
            assert config["n_f"] == params["n_f"]
    assert "dataset" not in {name for params in trials.values() for name in params}


@pytest.mark.ci
def test_a_search_learns(sqlite: Engine) -> None:
    """TPE's proposals are nearer to the best learning rate than those that it began with."""
    launch(sqlite, search(14, seeds=1, sampler="{name: tpe, n_startup_trials: 6, seed: 1}"), code=CODE)
    queue, proposer = Queue(sqlite), Proposer(sqlite, ME, print)
    while proposer.propose(1):
        for claim in queue.claim(ME, 99, {}):
            train(queue, claim, abs(claim.config["lr"] - 1e-3) * 1e4)
    values = [trial.value or 0.0 for trial in study(sqlite).trials]
    assert sorted(values[6:])[4] < sorted(values[:6])[3]
