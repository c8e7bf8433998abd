"""Short trials of packs: what they try, when they stop, and what is chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nftlab.speeds import Speed, fastest
from nftlab.train import Pack, measure
from nftlab.train.pack import ways
from nftlab.train.program import build
from tests.train import tiny

CPU = torch.device("cpu")


def test_sizes_are_tried_in_order_and_lanes_are_left_alone() -> None:
    data, lanes = tiny.task(n=33), tiny.members(2, precision="fp32")
    pack = tiny.trained(data, lanes, epochs=1)
    before = pack.checkpoint("lane-0")
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    speeds = measure.measure(data, lanes[0].hypers, device="cpu", sizes=[1, 2, 4], work=1e6)
    assert [speed.lanes for speed in speeds if "single" not in speed.way] == [1, 2, 4][: len({speed.lanes for speed in speeds})]
    assert {speed.way for speed in speeds} <= set(ways(CPU))
    assert all(speed.seconds > 0 and speed.memory == 0 for speed in speeds)
    assert fastest(speeds) in speeds
    assert tiny.same(pack.checkpoint("lane-0"), before)
    assert torch.equal(torch.rand(1), expected)


def test_time_spent_is_a_small_share_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST", 0.0)
    speeds = measure.measure(tiny.task(), tiny.hypers(), device="cpu", sizes=[1, 2, 4, 8], work=0)
    assert {speed.lanes for speed in speeds} == {1}  # the first size is measured whatever it costs


@pytest.mark.parametrize(
    "words", ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"]
)
def test_what_was_measured_before_memory_ran_out_counts(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    def speed(program: object, lanes: int, way: str, heart: object) -> Speed:
        if lanes > most:
            raise RuntimeError(words)
        return Speed(lanes, way, 1.0 / lanes, 0.0, 0.0, 0, 0)

    monkeypatch.setattr(measure, "_speed", speed)
    most = 2
    speeds = measure.measure(tiny.task(), tiny.hypers(), device="cpu", sizes=[1, 2, 4], work=1e9)
    assert {each.lanes for each in speeds} == {1, 2}
    most = 0
    with pytest.raises(RuntimeError, match="CUDA error"):
        measure.measure(tiny.task(), tiny.hypers(), device="cpu", sizes=[1, 2, 4], work=1e9)


def test_the_estimate_is_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps, each at what it takes: here a second of the classifier's, ten of the simplifier's, and a hundred to evaluate."""
    cost = {"classifier": 1.0, "simplifier": 10.0}
    monkeypatch.setattr(measure, "_step", lambda program, groups, recorders, plan, heart: len(groups[0]) * cost[plan.passes[0].trains])
    monkeypatch.setattr(measure, "_evaluation", lambda program, groups, heart: len(groups[0]) * 100.0)
    h = tiny.hypers("nft", n_f=2, precision="fp32", ratio_simp=0.5)  # four epochs of five steps; the simplifier moves after the first two
    speeds = measure.measure(tiny.task(), h, device="cpu", sizes=[1, 2], work=1e6)
    assert [speed.seconds for speed in speeds] == [5 + 10 * 5 * 2 / 4 + 100] * len(speeds)
    assert {speed.lanes for speed in speeds} == {1, 2}


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ([(1, 1.0), (2, 0.5), (4, 0.49)], 2),
        ([(1, 1.0), (2, 0.5), (4, 0.4)], 4),
        ([(1, 1.0), (2, 1.2)], 1),
    ],
)
def test_the_fastest_wins_and_of_equals_the_smallest(speeds: list[tuple[int, float]], chosen: int) -> None:
    best = fastest([Speed(lanes, "mapped", seconds, seconds, seconds, 0, 0) for lanes, seconds in speeds])
    assert best is not None
    assert best.lanes == chosen


@pytest.mark.parametrize("way", ways(CPU))
def test_a_way_changes_neither_numbers_nor_threads(way: str) -> None:
    before = torch.get_num_threads()
    data, lanes = tiny.task(n=33), tiny.members(3, network="cnn-a")
    pack = Pack(data, lanes, way=way)
    for _ in range(3):
        pack.train_epoch()
    assert torch.get_num_threads() == before
    usual = tiny.trained(data, lanes)
    for lane in lanes:
        assert tiny.distance(tiny.network(pack.checkpoint(lane.key)), tiny.network(usual.checkpoint(lane.key))) <= 1e-9


@pytest.mark.parametrize(
    ("algorithm", "fields"),
    [("ft", {"iterations_simp": 120}), ("eef", {"kappa_0": 0.25}), ("eef", {"kappa_0": 0.25, "scope": "epoch"}), ("nft", {"n_f": 2})],
)
def test_counts_are_measured_at_their_mean(algorithm: str, fields: dict[str, Any]) -> None:
    h = tiny.hypers(algorithm, epochs=50, ratio_simp=0.5, **fields)
    program = build(tiny.task(n=240), h)
    kinds = [(plan.passes[0], count) for plan, count in measure.kinds(program)]
    assert len(kinds) <= 3
    planned = [each for epoch in range(1, 51) for each in program.method.plan(h, epoch, 30).passes]
    assert sum(count for _, count in kinds) * 50 == pytest.approx(sum(len(each.how) for each in planned))
    work = sum(sum(each.how) for each in planned) / 50
    assert sum(each.how[0] * count for each, count in kinds) == pytest.approx(work, rel=0.1)
    assert all(each.kept is None and len(each.how) == 30 for each, _ in kinds)


@pytest.mark.parametrize("algorithm", ["ct", "nft"])
def test_where_the_device_is_waited_for_an_epochs_beginning_counts(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: begun twice, once to warm up; the steps that begin an epoch are added to those that go on."""
    begun, whole = [], measure._epoch
    monkeypatch.setattr(measure, "_settle", lambda program: True)
    monkeypatch.setattr(measure, "_epoch", lambda *given: begun.append(given[3].passes[0].trains) or whole(*given))
    h = tiny.hypers(algorithm, precision="fp32", **({"n_f": 2} if algorithm == "nft" else {}))
    speeds = measure.measure(tiny.task(n=33), h, device="cpu", sizes=[1], work=0)
    assert all(0 < speed.seconds < 60 for speed in speeds)
    kinds = len(measure.kinds(build(tiny.task(n=33), h)))
    assert len(begun) == 2 * kinds * len(speeds)
