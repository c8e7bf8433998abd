"""What is remembered about speed: observations add up, measurements replace each other."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from nftlab.configuration import build, cost_key
from nftlab.speeds import Speed
from nftlab.store import known, remember
from tests.store.jobtable import at_once, sql

MEASURED = Speed(lanes=4, way="mapped", seconds=0.5, low=0.5, high=0.5, epochs=0, memory=9_000_000_000)
SEEN = Speed(lanes=4, way="mapped", seconds=0.4, low=0.3, high=0.6, epochs=30, memory=0)


def test_observations_are_merged(engine: Engine) -> None:
    remember(engine, "gpu", "k", [SEEN])
    assert known(engine, "gpu", "k") == [SEEN]
    remember(engine, "gpu", "k", [Speed(4, "mapped", seconds=0.8, low=0.35, high=0.9, epochs=10, memory=70)])
    (merged,) = known(engine, "gpu", "k")
    assert merged.seconds == pytest.approx((0.4 * 30 + 0.8 * 10) / 40)
    assert (merged.low, merged.high, merged.epochs, merged.memory) == (0.3, 0.9, 40, 70)


def test_what_was_measured_and_what_was_seen_stand_side_by_side(engine: Engine) -> None:
    remember(engine, "gpu", "k", [MEASURED])
    later = Speed(4, "mapped", 0.2, 0.2, 0.2, 0, 7)
    remember(engine, "gpu", "k", [SEEN, later])
    assert known(engine, "gpu", "k") == [Speed(4, "mapped", 0.2, 0.2, 0.2, 0, MEASURED.memory), SEEN]
    remember(engine, "gpu", "k", [MEASURED])
    assert known(engine, "gpu", "k") == [MEASURED, SEEN]


def test_devices_configurations_lanes_and_ways_are_told_apart(engine: Engine) -> None:
    rows = [Speed(lanes, way, 1.0, 1.0, 1.0, 1, 0) for lanes in (2, 16) for way in ("apart", "mapped")]
    remember(engine, "gpu", "k", rows[::-1])
    remember(engine, "cpu", "k", [MEASURED])
    remember(engine, "gpu", "other", [SEEN])
    remember(engine, "gpu", "none", [])
    assert known(engine, "gpu", "k") == rows
    assert known(engine, "cpu", "k") == [MEASURED]
    assert known(engine, "gpu", "none") == known(engine, "tpu", "k") == []


def test_the_time_is_the_databases_clock(engine: Engine) -> None:
    remember(engine, "gpu", "k", [SEEN])
    sql(engine, "UPDATE speeds SET at = 1")
    remember(engine, "gpu", "k", [SEEN])
    assert sql(engine, "SELECT at FROM speeds")[0].at > 1.7e9


def test_workers_that_write_the_same_rows_at_once_lose_nothing(engine: Engine) -> None:
    assert at_once(4, _observe, engine.url.render_as_string(hide_password=False)) == [None] * 4
    assert [speed.epochs for speed in known(engine, "gpu", "k")] == [40, 40]


def _observe(number: int, url: str) -> None:
    from nftlab.store import open_db

    mine = open_db(url, create=False)
    assert mine is not None
    pair = [Speed(2, "mapped", 1.0, 1.0, 1.0, 1, 0), Speed(4, "mapped", 1.0, 1.0, 1.0, 1, 0)]
    for _ in range(10):
        remember(mine, "gpu", "k", pair if number % 2 else pair[::-1])


def test_jobs_that_differ_in_epochs_or_lane_numbers_cost_the_same() -> None:
    base = {"algorithm": "nft", "dataset": "digits", "network": "fc-a"}
    key = cost_key(build(base))
    assert {cost_key(build(base | change)) for change in ({"epochs": 3}, {"lr": 0.1}, {"eta_max": 5})} == {key}
    changes = ({"batch_size": 64}, {"network": "cnn-a"}, {"mode": "paper"}, {"algorithm": "ct"}, {"ratio_simp": 0.5})
    others = {cost_key(build(base | change)) for change in changes}
    assert len(others | {key}) == 6
