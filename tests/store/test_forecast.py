"""What jobs will cost: epochs left times known speeds, and nothing guessed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from nftlab.configuration import build, cost_key
from nftlab.spec import load_text
from nftlab.speeds import Speed
from nftlab.store import Forecast, Queue, cost_left, cost_of, kinds_of, launch, remember
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, expire, make_sweep, sql

SWEEP = make_sweep(trials=2, seeds=3, packs=2)  # two batch sizes of six jobs, 200 epochs each
KEYS = [cost_key(build(SWEEP.trials[index].config)) for index in (0, 2)]
HOUR = 3600.0


def speed(seconds: float, *, epochs: int = 1, lanes: int = 4) -> Speed:
    return Speed(lanes, "mapped", seconds * HOUR, seconds / 2 * HOUR, seconds * 3 * HOUR, epochs, 0)


def test_without_speeds_every_job_is_unknown(engine: Engine) -> None:
    assert cost_left(engine) == Forecast()
    launch(engine, SWEEP, code=CODE)
    assert cost_left(engine) == cost_of(engine, [SWEEP]) == cost_of(None, [SWEEP]) == Forecast(unknown_jobs=12)


def test_what_is_known_is_counted_and_the_rest_is_not_guessed(engine: Engine) -> None:
    remember(engine, "gpu", KEYS[0], [speed(0.01)])
    assert cost_of(engine, [SWEEP]) == Forecast(12.0, 6.0, 36.0, 6, 0, 12.0, ("gpu",)), "6 jobs × 200 epochs × 0.01 h"
    remember(engine, "old gpu", KEYS[1], [speed(0.02)])
    assert cost_of(engine, [SWEEP]) == Forecast(36.0, 18.0, 108.0, 0, 0, 36.0, ("gpu", "old gpu"))
    assert cost_of(engine, [SWEEP, make_sweep("more", trials=1, seeds=1)]).device_hours == 38.0


def test_lanes_of_one_program_may_cost_differently(engine: Engine) -> None:
    head = (
        "name: mixed\nmethod: grid\nparameters:\n  algorithm: {value: nft}\n  epochs: {value: 100}\n  ratio_simp: {values: [0.25, 0.75]}\n"
    )
    sweep = load_text(head + "  eta_max: {values: [1, 2]}\nnftlab: {seeds: 3}\n")
    assert len({trial.pack_key for trial in sweep.trials}) == 1
    kinds = kinds_of([sweep])
    assert [(kind.config["ratio_simp"], kind.jobs) for kind in kinds] == [(0.25, 6), (0.75, 6)]
    launch(engine, sweep, code=CODE)
    for kind, seconds in zip(kinds, (0.01, 0.03), strict=True):
        assert cost_left(engine).unknown_jobs == cost_of(engine, [sweep]).unknown_jobs > 0
        remember(engine, "gpu", cost_key(build(kind.config)), [speed(seconds)])
    assert cost_left(engine) == cost_of(engine, [sweep]) == Forecast(24.0, 12.0, 72.0, 0, 0, 24.0, ("gpu",))


def test_shares_that_hardly_differ_are_one_kind(engine: Engine) -> None:
    head = "name: drawn\nmethod: random\nrun_cap: 200\nparameters:\n  algorithm: {value: nft}\n  ratio_simp: {min: 0.1, max: 0.9}\n"
    sweep = load_text(head + "nftlab: {seeds: 1}\n")
    kinds = kinds_of([sweep])
    assert len(kinds) == len({cost_key(build(kind.config)) for kind in kinds}) == 17, "0.1, 0.15, … 0.9"
    launch(engine, sweep, code=CODE)
    for kind in kinds:
        remember(engine, "gpu", cost_key(build(kind.config)), [speed(0.01)])
    assert cost_left(engine) == cost_of(engine, [sweep])
    assert cost_left(engine).unknown_jobs == 0


def test_only_the_epochs_that_are_left_cost(engine: Engine, queue: Queue) -> None:
    for key in KEYS:
        remember(engine, "gpu", key, [speed(0.01)])
    launch(engine, SWEEP, code=CODE)
    launch(engine, make_sweep("other", trials=1, seeds=1), code=CODE)
    claims = queue.claim(ANN, 4, CODE, pack_key=SWEEP.trials[0].pack_key)
    queue.record_epoch([(claim, epoch(50)) for claim in claims])
    queue.finish([(claims[0], DONE)])
    queue.fail(claims[1], "boom", cause="config")
    queue.release([claims[2]], cause="interrupted")
    left = (12 - 2) * 200 - 2 * 50
    assert cost_left(engine, sweep="s").device_hours == pytest.approx(left * 0.01)
    assert cost_left(engine).device_hours == pytest.approx((left + 200) * 0.01)
    assert cost_left(engine, sweep="none") == Forecast(workers=1)


def test_the_clock_runs_slower_for_live_workers_only(engine: Engine, queue: Queue) -> None:
    launch(engine, SWEEP, code=CODE)
    remember(engine, "gpu", KEYS[0], [speed(0.01)])
    for worker in (ANN, BOB):
        queue.claim(worker, 2, CODE)
    found = cost_left(engine)
    assert (found.workers, found.device_hours, found.hours) == (2, 12.0, 6.0)
    expire(engine)
    found = cost_left(engine)
    assert (found.workers, found.device_hours, found.hours) == (0, 12.0, 12.0)


def test_the_fastest_of_the_device_seen_last_counts(engine: Engine) -> None:
    one = make_sweep(trials=1, seeds=16)
    remember(engine, "new", KEYS[0], [speed(0.03, lanes=1), speed(0.01, lanes=8), speed(0.02, lanes=16)])
    remember(engine, "old", KEYS[0], [speed(0.04)])
    sql(engine, "UPDATE speeds SET at = at - 60 WHERE device = 'old'")
    assert cost_of(engine, [one]) == Forecast(32.0, 16.0, 96.0, 0, 0, 32.0, ("new",))
    assert cost_of(engine, [make_sweep(trials=1, seeds=1)]).device_hours == 6.0, "one job fills no pack of eight"
    launch(engine, make_sweep("single", trials=1, seeds=1), code=CODE)
    assert cost_left(engine).device_hours == 6.0
    sql(engine, "UPDATE speeds SET at = at + 120 WHERE device = 'old'")
    assert cost_of(engine, [one]) == Forecast(128.0, 64.0, 384.0, 0, 0, 128.0, ("old",))


def test_what_was_observed_goes_before_what_was_measured(engine: Engine) -> None:
    remember(engine, "gpu", KEYS[0], [speed(0.001, epochs=0, lanes=64), speed(0.01, lanes=8), speed(0.03, epochs=0, lanes=1)])
    assert cost_of(engine, [make_sweep(trials=1, seeds=64)]).device_hours == 128.0


def test_a_configuration_that_this_code_cannot_run_is_unknown(engine: Engine) -> None:
    launch(engine, SWEEP, code=CODE)
    remember(engine, "gpu", KEYS[0], [speed(0.01)])
    sql(engine, """UPDATE jobs SET config = '{"algorithm":"of tomorrow"}' WHERE seed = 0""")
    sql(engine, "UPDATE jobs SET pack_key = 'of tomorrow' WHERE seed = 0")
    assert cost_left(engine) == Forecast(8.0, 4.0, 24.0, 8, 0, 8.0, ("gpu",))
