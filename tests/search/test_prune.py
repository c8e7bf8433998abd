"""When a job falls behind, on hand-made curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine

from nftlab.search import Referee, prune
from nftlab.search.prune import Curve, needed
from nftlab.spec import Pruner, load_text, rungs
from nftlab.store import EpochRow, Queue, complete, jobs, launch, sources, story, verify
from tests.store.jobtable import ANN, CODE, sweep_text

MEDIAN = Pruner("median", {"n_startup_trials": 2, "n_warmup_steps": 2, "interval_steps": 2, "n_min_trials": 1})
HALVING = Pruner("successive_halving", {"min_resource": 2, "reduction_factor": 2, "min_early_stopping_rate": 0, "bootstrap_count": 0})
HYPERBAND = Pruner("hyperband", {"min_resource": 1, "max_resource": 9, "reduction_factor": 3, "bootstrap_count": 0})


def curve(values: Sequence[float], *, done: bool = False, began: float = 0.0) -> Curve:
    """Values of the epochs 1, 2, …, a second apart."""
    epochs = range(1, len(values) + 1)
    return Curve(dict(zip(epochs, values, strict=True)), {epoch: began + epoch for epoch in epochs}, done)


def behind(pruner: Pruner, goal: str, curves: Sequence[Curve], mine: int, epoch: int) -> bool:
    return mine in prune.behind(pruner, goal, curves, [mine], epoch)


def early(**args: object) -> Pruner:
    return Pruner("early_terminate", {"eta": 3, "strict": False, **args})


@pytest.mark.parametrize("pruner", [MEDIAN, HALVING, HYPERBAND])
def test_jobs_judged_together_fall_as_each_would_alone(pruner: Pruner) -> None:
    curves = [curve([(7 * i) % 12] * 9, began=0.1 * ((5 * i) % 12)) for i in range(12)]
    for epoch in rungs(pruner, 9):
        alone = {mine for mine in range(12) if behind(pruner, "minimize", curves, mine, epoch)}
        assert prune.behind(pruner, "minimize", curves, range(12), epoch) == alone
    assert alone != set(range(12))


@pytest.mark.parametrize(
    ("pruner", "expected"),
    [
        (MEDIAN, [2, 4, 6, 8, 10]),
        (Pruner("threshold", {"lower": 1.0, "upper": None, "n_warmup_steps": 0, "interval_steps": 4}), [4, 8]),
        (HALVING, [2, 4, 8]),
        (Pruner("successive_halving", HALVING.args | {"min_early_stopping_rate": 2}), [8]),
        (Pruner("successive_halving", HALVING.args | {"min_early_stopping_rate": 10**15}), []),
        (early(min_iter=1, eta=1e9), [1]),
        (HYPERBAND, [1, 3, 9]),
        (early(min_iter=2), [2, 6]),
        (early(max_iter=27, s=2), [3, 9]),
        (early(max_iter=9, s=5), [1, 3]),
        (early(min_iter=1, eta=1.5), [1, 2, 3, 5, 7]),
    ],
)
def test_decisions_fall_at_epochs_that_the_arguments_fix(pruner: Pruner, expected: list[int]) -> None:
    assert rungs(pruner, 10) == expected


def test_median_compares_with_what_finished_jobs_were_worth_at_that_epoch() -> None:
    finished = [curve([9, 8, 1, 1], done=True), curve([9, 6, 1, 1], done=True), curve([9, 4, 1, 1], done=True)]
    for value, verdict in ((6.5, True), (6, False), (5, False)):
        assert behind(MEDIAN, "minimize", [*finished, curve([9, value])], 3, 2) is verdict
        assert behind(MEDIAN, "maximize", [*finished, curve([0, 12 - value])], 3, 2) is verdict
    assert not behind(MEDIAN, "minimize", [finished[0], curve([9, 99])], 1, 2), "one finished job is no median of two"
    running = [curve([9, 8, 1, 1]), curve([9, 6, 1, 1])]
    assert not behind(MEDIAN, "minimize", [*running, curve([9, 99])], 2, 2), "those in training may fall behind themselves"
    assert needed(MEDIAN, 4) == [4]


def test_threshold_and_percentile() -> None:
    threshold = Pruner("threshold", {"lower": None, "upper": 50.0, "n_warmup_steps": 0, "interval_steps": 1})
    assert [behind(threshold, "minimize", [curve([value])], 0, 1) for value in (49, 51)] == [False, True]
    percentile = Pruner("percentile", {"percentile": 25.0, **MEDIAN.args})
    finished = [curve([9, value], done=True) for value in (1, 2, 3, 4, 5)]
    assert [behind(percentile, "minimize", [*finished, curve([9, value])], 5, 2) for value in (2, 2.5)] == [False, True]


def test_successive_halving_keeps_the_better_half_of_those_who_came_before() -> None:
    first, second, third = curve([5, 5]), curve([5, 7], began=10), curve([5, 4, 4, 4], began=20)
    assert not behind(HALVING, "minimize", [first], 0, 2)
    assert behind(HALVING, "minimize", [first, second], 1, 2)
    assert not behind(HALVING, "minimize", [first, second, third], 2, 2)
    assert not behind(HALVING, "minimize", [first, second, third], 2, 4), "alone at its second rung"
    late = curve([5, 3], began=90)
    assert not behind(HALVING, "minimize", [first, second, late], 0, 2), "what came later played no part"
    assert behind(HALVING, "maximize", [curve([5, 7]), curve([5, 5], began=9)], 1, 2)
    assert needed(HALVING, 4) == [2, 4]


def test_hyperband_judges_within_its_brackets() -> None:
    curves = [curve([10.0 + number] * 9, began=100.0 * number) for number in range(12)]
    verdicts = [[behind(HYPERBAND, "minimize", curves, mine, epoch) for epoch in (1, 3, 9)] for mine in range(12)]
    assert verdicts[0] == [False] * 3, "the best and first is never behind"
    assert any(any(found) for found in verdicts)
    assert any(not found[0] and any(found[1:]) for found in verdicts), "a bracket that begins later spares the first rung"


def test_hyperband_of_wandb_stops_what_is_outside_the_best_third() -> None:
    bands = [curve([value]) for value in (1, 2, 3, 4, 5, 6)]
    stopped = [behind(early(min_iter=1), "minimize", bands, mine, 1) for mine in range(6)]
    assert stopped == [False, False, False, True, True, True]
    strict = [behind(early(min_iter=1, strict=True), "minimize", bands, mine, 1) for mine in range(6)]
    assert strict == [False, False, True, True, True, True]
    maximize = [behind(early(min_iter=1), "maximize", bands, mine, 1) for mine in range(6)]
    assert maximize == stopped[::-1]
    assert not behind(early(min_iter=1, strict=True), "minimize", [curve([9.0])], 0, 1), "alone it is the best"


@pytest.mark.parametrize("pruner", [MEDIAN, HALVING, early(min_iter=2)])
def test_divergence_is_not_the_pruners_business(pruner: Pruner) -> None:
    curves = [curve([1, 1], done=True), curve([1, math.nan], done=True), curve([1, 2], done=True), curve([1, math.nan])]
    assert not behind(pruner, "minimize", curves, 3, 2)


def test_the_referee_compares_jobs_of_the_same_seed_and_pruned_jobs_count_as_recorded(sqlite: Engine) -> None:
    text = sweep_text(trials=3, seeds=2).replace(
        "parameters:", "early_terminate: {type: hyperband, min_iter: 2, strict: true}\nparameters:"
    )
    launch(sqlite, load_text(text), code=CODE)
    queue, referee = Queue(sqlite), Referee(sqlite)
    claims = queue.claim(ANN, 6, {})
    referee.meet(sources(sqlite, {"s"}))
    error = {(claim.trial_key, claim.seed): 10.0 * claim.seed + index // 2 for index, claim in enumerate(claims)}
    judged = []
    for epoch in (1, 2, 3):
        rows = [(claim, EpochRow(epoch, {"val/error": error[claim.trial_key, claim.seed]}, 0.1, epoch == 1)) for claim in claims]
        queue.record_epoch(rows)
        judged.append(referee.judge(rows))
    assert judged[0] == judged[2] == []
    assert [(claim.job_id, why) for claim, why in judged[1]] == [(job, "early_terminate: behind at epoch 2") for job in (3, 4, 5, 6)]
    assert queue.prune(judged[1]) == set()
    assert queue.prune(judged[1]) == set(), "told again, as after an answer that was lost"
    pruned = jobs(sqlite, state="pruned")
    assert [(job.seed, job.best_epoch, job.val_error, job.epoch) for job in pruned] == [
        (0, 1, 1, 3),
        (1, 1, 11, 3),
        (0, 1, 2, 3),
        (1, 1, 12, 3),
    ]
    moves = [move["why"] for move in story(sqlite, pruned[0].job_key)["transitions"]]
    assert moves == ["launched", "claimed", "early_terminate: behind at epoch 2"], "recorded once"
    found = verify(sqlite, "s")
    assert (found["pruned"], found["running"], complete(found)) == (4, 2, False)
