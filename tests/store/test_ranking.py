"""Which trials of a sweep are best, by the value that a sampler would be told."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import Engine, event

from nftlab.errors import NotFoundError
from nftlab.spec import load_text
from nftlab.store import Claim, Outcome, Queue, launch, ranked
from tests.store.jobtable import ANN, CODE, epoch, make_sweep, sweep_text


def claims(engine: Engine, queue: Queue, trials: int, seeds: int) -> list[list[Claim]]:
    """The jobs of a launched sweep, in training, by trial."""
    launch(engine, make_sweep(trials=trials, seeds=seeds), code=CODE)
    every = queue.claim(ANN, 99, CODE)
    return [every[start : start + seeds] for start in range(0, trials * seeds, seeds)]


def done(queue: Queue, claim: Claim, error: float) -> None:
    """Two epochs, the first of them the best."""
    queue.record_epoch([(claim, epoch(1, error=error))])
    queue.record_epoch([(claim, epoch(2, best=False, error=error + 50))])
    queue.finish([(claim, Outcome(diverged=False, best_epoch=1, val_error=error, test_error=error, seconds=1.0))])


def test_trials_are_ranked_by_the_mean_over_seeds_at_each_ones_best_epoch(engine: Engine, queue: Queue) -> None:
    trials = claims(engine, queue, trials=3, seeds=3)
    for trial, errors in zip(trials, ((4.0, 5.0, 9.0), (5.0, 6.0, 4.0), (5.0, 5.0, 5.0)), strict=True):
        for claim, error in zip(trial, errors, strict=True):
            done(queue, claim, error)
    found = ranked(engine, "s")
    assert [trial.config["lr"] for trial in found] == [0.002, 0.003, 0.001], "the earliest launched on ties"
    assert [(trial.mean, trial.std, trial.n, trial.asked) for trial in found] == [
        (5.0, 1.0, 3, 3),
        (5.0, 0.0, 3, 3),
        (6.0, pytest.approx(math.sqrt(7)), 3, 3),
    ]


def test_a_goal_may_be_to_maximize_a_metric_of_another_name(engine: Engine, queue: Queue) -> None:
    text = sweep_text(trials=2, seeds=1).replace("{name: val/error, goal: minimize}", "{name: test/error, goal: maximize}")
    launch(engine, load_text(text, "test"), code=CODE)
    for claim, error in zip(queue.claim(ANN, 2, CODE), (3.0, 7.0), strict=True):
        done(queue, claim, error)
    assert [(trial.mean, trial.std) for trial in ranked(engine, "s")] == [(8.0, None), (4.0, None)]


def test_what_has_fewer_seeds_comes_behind_and_what_has_no_worth_last(engine: Engine, queue: Queue) -> None:
    whole, partial, pruned, diverged, running = claims(engine, queue, trials=5, seeds=2)
    for claim in whole:
        done(queue, claim, 9.0)
    done(queue, partial[0], 1.0)
    queue.fail(partial[1], "no luck", cause="config")
    done(queue, pruned[0], 1.0)
    queue.record_epoch([(pruned[1], epoch(1, error=1.0))])
    queue.prune([(pruned[1], "behind")])
    done(queue, diverged[0], 1.0)
    queue.finish([(diverged[1], Outcome(diverged=True, best_epoch=None, val_error=None, test_error=None, seconds=1.0))])
    queue.record_epoch([(running[0], epoch(1, error=1.0))])
    found = [(trial.trial_key, trial.mean, trial.n, trial.asked) for trial in ranked(engine, "s")]
    assert [trial.diverged for trial in ranked(engine, "s") if trial.trial_key == diverged[0].trial_key] == [1]
    assert found[:2] == [(whole[0].trial_key, 9.0, 2, 2), (partial[0].trial_key, 1.0, 1, 2)]
    assert {(key, mean) for key, mean, *_ in found[2:]} == {(of[0].trial_key, None) for of in (pruned, diverged, running)}


def test_it_takes_two_questions_however_many_jobs(sqlite: Engine) -> None:
    for claim in (every := claims(sqlite, Queue(sqlite), trials=20, seeds=3))[0]:
        done(Queue(sqlite), claim, 1.0)
    asked: list[str] = []
    event.listen(sqlite, "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
    assert len(ranked(sqlite, "s")) == len(every)
    assert len(asked) == 2


def test_what_diverged_after_a_good_epoch_comes_behind_what_did_not(engine: Engine, queue: Queue) -> None:
    wild, tame = claims(engine, queue, trials=2, seeds=2)
    done(queue, wild[0], 1.0)
    queue.record_epoch([(wild[1], epoch(1, error=1.0))])
    queue.finish([(wild[1], Outcome(diverged=True, best_epoch=1, val_error=1.0, test_error=1.0, seconds=1.0))])
    for claim in tame:
        done(queue, claim, 9.0)
    found = [(trial.trial_key, trial.mean, trial.n, trial.diverged) for trial in ranked(engine, "s")]
    assert found == [(tame[0].trial_key, 9.0, 2, 0), (wild[0].trial_key, 1.0, 2, 1)]


def test_a_sweep_that_is_not_there_has_no_ranking(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="'gone' was never launched"):
        ranked(engine, "gone")
