"""How many jobs train at once: chosen from measurements, which are made once."""

from __future__ import annotations

from typing import Any

import pytest

from nftlab.configuration import build, cost_key
from nftlab.speeds import Speed
from nftlab.store import Claim, EpochRow, Worker, remember
from nftlab.worker.circumstances import where
from nftlab.worker.messages import Measure, Measured, Ready
from nftlab.worker.pack_size import Pace, Sizes, fastest
from tests.worker.conftest import Lab
from tests.worker.shared import attempts, settle_on

HERE = Ready("cpu", "A processor", 2, "2.11.0")
GPU = Ready("cuda:0", "A card", 2, "2.11.0")


def measured(lanes: int, seconds: float, way: str = "mapped") -> Speed:
    return Speed(lanes, way, seconds, seconds, seconds, 0, 0)


class Machine:
    """Measures as a machine does on which a lane's share falls up to `best` at once."""

    def __init__(self, lab: Lab, best: int, asked: int | None = None) -> None:
        self.orders: list[tuple[int, ...]] = []
        self.said: list[str] = []
        self._best = best
        self.sizes = Sizes(lab.engine, asked, self.measure, self.said.append)
        self.head: dict[str, Any] = lab.queue.peek() or {}

    def measure(self, order: Measure) -> Measured:
        self.orders.append(order.sizes)
        speeds = []
        for lanes in order.sizes:
            speeds.append(measured(lanes, 0.42 / min(lanes, self._best), "mapped" if lanes > 1 else "apart"))
            if lanes > self._best:  # larger was no better
                break
        return Measured(tuple(speeds))

    def choose(self, waiting: int, **head: Any) -> tuple[int, str]:
        choice = self.sizes.choose({**self.head, **head}, waiting, HERE)
        return choice.lanes, choice.way


@pytest.mark.parametrize(
    ("speeds", "lanes"),
    [
        ([(1, 10.0), (2, 6.0), (4, 5.0), (8, 4.9)], 4),
        ([(1, 10.0), (2, 6.0), (4, 5.0), (8, 4.8)], 8),
        ([(1, 10.0), (2, 9.9)], 1),
    ],
)
def test_the_fastest_and_of_equals_the_smallest(speeds: list[tuple[int, float]], lanes: int) -> None:
    found = fastest([measured(*speed) for speed in speeds], 128)
    assert found is not None
    assert found.lanes == lanes


def test_measured_once_then_remembered(lab: Lab) -> None:
    lab.sweep(epochs=7)
    machine = Machine(lab, best=8)
    assert machine.choose(waiting=100) == (8, "mapped")
    assert machine.orders == [(1, 2, 4, 8, 16, 32, 64, 100)]
    assert machine.said[0].startswith("fc-a ct on digits: 8 at once, 8.0 × as many jobs per hour as one by one (measured in ")
    assert machine.choose(waiting=100) == (8, "mapped")
    other = Machine(lab, best=8)
    assert other.choose(waiting=3) == (8, "mapped")
    assert machine.orders + other.orders == machine.orders[:1]


def test_one_job_and_jobs_that_must_be_alone_are_not_measured(lab: Lab) -> None:
    lab.sweep()
    machine = Machine(lab, best=14)
    assert machine.choose(waiting=1) == (1, "apart")
    assert machine.choose(waiting=9, alone=True) == (1, "apart")
    assert machine.orders == []


def test_a_lane_alone_is_recorded_on_a_gpu_though_nothing_was_measured(lab: Lab) -> None:
    lab.sweep()
    machine = Machine(lab, best=14)
    for head in ({}, {"alone": True}, {"config": {"algorithm": "nonsense"}}):
        choice = machine.sizes.choose({**machine.head, **head}, 1, GPU)
        assert (choice.lanes, choice.way) == (1, "apart-graph")
    assert machine.orders == []


def test_what_does_not_fit_recorded_is_trained_as_it_is(lab: Lab) -> None:
    lab.sweep()
    unmeasured = Sizes(lab.engine, None, lambda order: None, print)
    assert unmeasured.choose(lab.queue.peek() or {}, 9, GPU).way == "apart"
    for asked in (None, 1):
        machine = Machine(lab, best=14, asked=asked)
        choice = machine.sizes.choose(machine.head, 1, GPU)
        assert (choice.way, choice.recorded) == ("apart-graph", True)
        machine.sizes.run_eagerly(choice.kind)
        again = machine.sizes.choose(machine.head, 9, GPU)
        assert (again.lanes, again.way, again.recorded) == (1, "apart", False)


def test_one_at_a_time_trains_the_same_way_whatever_was_measured(lab: Lab) -> None:
    lab.sweep(epochs=7)
    kind = Machine(lab, best=8).sizes.choose(lab.queue.peek() or {}, 1, HERE).kind
    assert kind
    remember(lab.engine, where(HERE), kind, [measured(1, 0.1, "apart-single")])
    assert Machine(lab, best=8).choose(waiting=1) == (1, "apart-single")
    machine = Machine(lab, best=8, asked=1)
    assert machine.choose(waiting=100) == (1, "apart")
    assert machine.orders == []


def test_more_jobs_than_were_measured_for_are_measured_again(lab: Lab) -> None:
    lab.sweep()
    machine = Machine(lab, best=80)
    choice = machine.sizes.choose(machine.head, 5, HERE)
    assert (choice.lanes, machine.orders) == (5, [(1, 2, 4, 5)])
    assert [choice.outgrown(waiting) for waiting in (9, 10)] == [False, True]
    assert machine.choose(waiting=300) == (80, "mapped")
    assert machine.orders[1:] == [(5, 10, 20, 40, 80, 128)]
    assert not machine.sizes.choose(machine.head, 300, HERE).outgrown(1000)


def test_as_many_as_asked_for_and_no_more_than_memory_takes(lab: Lab) -> None:
    lab.sweep()
    machine = Machine(lab, best=14, asked=50)
    assert machine.choose(waiting=100) == (50, "mapped")
    assert machine.orders == [(50,)]
    assert machine.choose(waiting=30) == (50, "mapped")
    machine.sizes.limit(machine.head["pack_key"], 25)
    choice = machine.sizes.choose(machine.head, 100, HERE)
    assert (choice.lanes, machine.sizes.places(machine.head["pack_key"], choice), len(machine.orders)) == (25, 25, 1)


def test_a_configuration_that_cannot_run_is_tried_alone(lab: Lab) -> None:
    lab.sweep()
    machine = Machine(lab, best=14)
    assert machine.choose(waiting=9, config={"algorithm": "nonsense"}) == (1, "apart")
    assert machine.orders == []


def test_what_cannot_be_measured_is_not_tried_again(lab: Lab) -> None:
    lab.sweep()
    asked: list[Measure] = []
    sizes = Sizes(lab.engine, None, asked.append, print)
    choices = [sizes.choose(lab.queue.peek() or {}, 9, HERE) for _ in range(2)]
    assert ([choice.lanes for choice in choices], len(asked)) == ([1, 1], 1)


def test_only_full_packs_tell_their_speed_by_what_their_lanes_cost(lab: Lab) -> None:
    lab.sweep(algorithm="nft", ratio_simp=[0.25, 0.5], eta_max=[1, 2])
    claims = lab.queue.claim(Worker("me", "here", 1), 4, {})
    keys = [cost_key(build(claim.config)) for claim in claims]
    assert [keys.index(key) for key in keys] == [0, 0, 2, 2]

    def rows(*seconds: float) -> list[tuple[Claim, EpochRow]]:
        return [(claim, EpochRow(1, {}, each, best=False)) for claim, each in zip(claims, seconds, strict=False)]

    pace = Pace(4, "mapped")
    assert pace.speeds() == {}
    assert not pace.see(rows(1.0, 3.0, 8.0, 8.0))
    assert not pace.see(rows(5.0, 5.0, 8.0, 9.0))
    assert not pace.see(rows(99.0))
    assert pace.speeds() == {keys[0]: Speed(4, "mapped", 3.5, 1.0, 5.0, 4, 0), keys[2]: Speed(4, "mapped", 8.25, 8.0, 9.0, 4, 0)}
    assert pace.speeds() == {}


@pytest.mark.ci
def test_a_worker_measures_and_the_next_remembers(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep("first", seeds=4)
    assert lab.work() == 0
    err = capfd.readouterr().err
    assert err.count("(measured in ") == 1
    noted = [attempt["circumstances"] for attempt in attempts(lab)]
    assert "1" in noted[0]["speeds"]["apart"]
    with lab.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT device, cost_key, lanes, way, epochs FROM speeds").all()
    assert rows[0].device.endswith(", 1 thread")
    assert noted[0]["pack_size"] in {row.lanes for row in rows if row.epochs > 0}
    slow = Speed(128, "mapped", 99.0, 99.0, 99.0, 0, 0)  # nothing larger is left to try
    remember(lab.engine, rows[0].device, rows[0].cost_key, [slow])
    lab.sweep("second", seeds=2)
    assert lab.work() == 0
    assert "measured in" not in capfd.readouterr().err


@pytest.mark.ci
def test_a_single_job_is_not_measured_and_its_speed_is_remembered(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep()
    settle_on(lab, 1, "apart")
    assert lab.work() == 0
    assert "measured in" not in capfd.readouterr().err
    with lab.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT lanes, way, epochs, seconds FROM speeds WHERE epochs > 0").all()
    assert (row.lanes, row.way, row.epochs) == (1, "apart", 3)
    assert 0 < row.seconds < 1
