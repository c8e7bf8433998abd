"""The equality contract, for every method and network: a lane's numbers do not depend on the company it trains in."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nftlab.methods import METHODS
from nftlab.train import Checkpoint, Pack, checkpoint
from nftlab.train.networks import FCB
from tests.train import tiny

METHOD_VARIANTS = [(name, variant) for name in METHODS for variant in tiny.VARIANTS.get(name, [{}])]
EVERY_METHOD = pytest.mark.parametrize(
    ("algorithm", "variant"),
    METHOD_VARIANTS,
    ids=[tiny.label(name, variant) for name, variant in METHOD_VARIANTS],
)
pytestmark = pytest.mark.usefixtures("narrow")


@EVERY_METHOD
@pytest.mark.parametrize("network", [pytest.param(n, marks=pytest.mark.ci) if n in tiny.DEEP else n for n in tiny.NETS])
def test_alone_equals_stacked(algorithm: str, variant: dict[str, Any], network: str) -> None:
    data, lanes = (
        tiny.task(tiny.image(network), n=17),
        tiny.members(8, algorithm, network=network, **variant),
    )  # the last batch has nine examples
    sizes = (3,) if network in tiny.LIKE_OTHERS else (3, 8)
    packs = [tiny.trained(data, lanes[:k]) for k in sizes]
    for lane in lanes[1:3]:
        alone = tiny.trained(data, [lane]).checkpoint(lane.key)
        for pack in packs:
            for name in tiny.names(alone):
                assert tiny.distance(tiny.network(pack.checkpoint(lane.key), name), tiny.network(alone, name)) <= 1e-9


@pytest.mark.ci
@EVERY_METHOD
def test_alone_equals_stacked_at_full_width(algorithm: str, variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # FC-B with all of its twelve million weights
    assert FCB.widths[0] == 2500
    data, lanes = tiny.task(n=16), tiny.members(8, algorithm, network="fc-b", **variant)
    packs = [tiny.trained(data, lanes[:k], epochs=2) for k in (3, 8)]
    alone = tiny.trained(data, lanes[:1], epochs=2).checkpoint("lane-0")
    for pack in packs:
        for name in tiny.names(alone):
            assert tiny.distance(tiny.network(pack.checkpoint("lane-0"), name), tiny.network(alone, name)) <= 1e-9


@EVERY_METHOD
@tiny.SHALLOW_QUICK_FIRST
def test_one_step_gradients_agree_in_single_precision(algorithm: str, variant: dict[str, Any], network: str) -> None:
    """By network norm. A ReLU whose input is rounding away from 0 may switch, which moves a gradient: three of six may be further."""
    data, lanes = tiny.task(tiny.image(network), n=8), tiny.members(8, algorithm, network=network, precision="fp32", **variant)
    pack = tiny.trained(data, lanes, epochs=1)  # of a single step: Adam's first average is a tenth of the gradient, SGD's the gradient
    distances: dict[str, list[float]] = {}
    for lane in lanes[:6]:
        alone, stacked = tiny.trained(data, [lane], epochs=1).checkpoint(lane.key), pack.checkpoint(lane.key)
        for name in tiny.names(alone):
            first = next(key for key in alone.tensors if key.startswith((f"{name}/adam/m", f"{name}/sgd/momentum")))
            if alone.tensors[first].any():
                distances.setdefault(name, []).append(tiny.distance(stacked.tensors[first], alone.tensors[first]))
    assert "classifier" in distances
    for found in map(sorted, distances.values()):
        assert found[(len(found) - 1) // 2] <= 2e-5  # ResNet18's rounding
        assert found[-1] <= 0.5


@EVERY_METHOD
@tiny.QUICK_FIRST
@pytest.mark.parametrize("k", [1, 3])
def test_resumed_from_disk_equals_uninterrupted_to_the_bit(
    algorithm: str, variant: dict[str, Any], network: str, k: int, tmp_path: Any
) -> None:
    data, lanes = tiny.task(tiny.image(network), n=16), tiny.members(k, algorithm, network=network, precision="fp32", **variant)
    through = tiny.trained(data, lanes, epochs=4)
    stopped, resumed = tiny.trained(data, lanes, epochs=2), Pack(data, lanes)
    for lane in lanes:
        path, sha = checkpoint.save(tmp_path / lane.key, stopped.checkpoint(lane.key))
        resumed.restore(lane.key, checkpoint.load(path, sha))
    resumed.train_epoch()
    resumed.train_epoch()
    assert resumed.live == []
    for lane in lanes:
        assert tiny.same(resumed.checkpoint(lane.key), through.checkpoint(lane.key))
        assert resumed.summary(lane.key) == through.summary(lane.key)


@EVERY_METHOD
def test_lanes_at_different_epochs_train_together(algorithm: str, variant: dict[str, Any]) -> None:
    data, lanes = tiny.task(), tiny.members(3, algorithm, **variant)
    ahead = tiny.trained(data, lanes[:1], epochs=2).checkpoint("lane-0")
    pack = Pack(data, lanes)
    pack.restore("lane-0", ahead)
    first = pack.train_epoch()
    assert [result.epoch for result in first] == [3, 1, 1]
    pack.train_epoch()
    assert pack.live == ["lane-1", "lane-2"]
    pack.train_epoch()
    for lane, epochs in zip(lanes, (4, 3, 3), strict=True):
        alone = tiny.trained(data, [lane], epochs=epochs).checkpoint(lane.key)
        for name in tiny.names(alone):
            assert tiny.distance(tiny.network(pack.checkpoint(lane.key), name), tiny.network(alone, name)) <= 1e-9


@EVERY_METHOD
def test_state_keys_are_stable(algorithm: str, variant: dict[str, Any]) -> None:
    pack = Pack(tiny.task(), tiny.members(2, algorithm, **variant))
    before = pack.checkpoint("lane-1").tensors.keys()
    pack.train_epoch()
    after = pack.checkpoint("lane-1").tensors.keys()
    assert {key for key in after if not key.startswith("best/")} == set(before)


@EVERY_METHOD
def test_lanes_apart_equal_lanes_mapped(algorithm: str, variant: dict[str, Any]) -> None:
    data, lanes = tiny.task(n=25), tiny.members(3, algorithm, network="cnn-a", **variant)
    mapped, apart = Pack(data, lanes, way="mapped"), Pack(data, lanes, way="apart")
    for epoch in (1, 2, 3):
        assert [r.epoch for r in mapped.train_epoch()] == [r.epoch for r in apart.train_epoch()] == [epoch] * 3
    for lane in lanes:
        one, other = mapped.checkpoint(lane.key), apart.checkpoint(lane.key)
        for name in tiny.names(one):
            assert tiny.distance(tiny.network(one, name), tiny.network(other, name)) <= 1e-9


def test_a_diverged_lane_leaves_its_neighbours_alone() -> None:
    data, sane = tiny.task(), tiny.members(3, network="fc-b")
    mad = [sane[0], tiny.members(2, network="fc-b", lr=1e300)[1], sane[2]]
    beside, among = Pack(data, mad), Pack(data, sane)
    results = [beside.train_epoch(), among.train_epoch()]
    assert [result.diverged for result in results[0]] == [False, True, False]
    assert results[0][1].finished
    assert "train/loss" not in results[0][1].values
    assert beside.summary("lane-1").best_epoch is None
    for i in (0, 2):
        assert tiny.same(beside.checkpoint(sane[i].key), among.checkpoint(sane[i].key))
        assert results[0][i].values == results[1][i].values
    assert beside.live == ["lane-0", "lane-2"]
    assert [result.key for result in beside.train_epoch()] == ["lane-0", "lane-2"]


def test_a_lane_that_breaks_in_its_last_step_has_diverged_and_is_not_selected() -> None:
    """Its training loss is from before that step."""
    breaking = tiny.members(1, lr=1e38, precision="fp32", optimizer="sgd", momentum=0.0)
    (result,) = Pack(tiny.task(n=8), breaking).train_epoch()
    assert "train/loss" in result.values
    assert "val/loss" not in result.values
    assert (result.diverged, result.best, result.finished) == (True, False, True)


def test_a_failing_epoch_leaves_the_lanes_as_they_were() -> None:
    pack = tiny.trained(tiny.task(), tiny.members(1), epochs=1)
    before = pack.checkpoint("lane-0")
    pack._program.task.valid.y.fill_(11)  # a label that no logit stands for
    with pytest.raises((RuntimeError, IndexError)):
        pack.train_epoch()
    assert tiny.same(pack.checkpoint("lane-0"), before)


def test_training_does_not_touch_the_global_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    tiny.trained(tiny.task(), tiny.members(2, "nft", network="cnn-a", n_f=2), epochs=1)
    assert torch.equal(torch.rand(4), expected)


def test_checkpoints_are_copies() -> None:
    pack = tiny.trained(tiny.task(), tiny.members(1), epochs=1)
    taken = pack.checkpoint("lane-0")
    kept = Checkpoint({key: t.clone() for key, t in taken.tensors.items()}, dict(taken.meta))
    pack.train_epoch()
    assert tiny.same(taken, kept)
