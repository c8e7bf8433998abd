"""Packs: who may train together, what an epoch reports, and which epoch is selected."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nftlab.data.task import Split, Task
from nftlab.errors import ConfigError
from nftlab.train import Member, Pack
from nftlab.train import pack as pack_module
from nftlab.train.networks import NETWORKS
from nftlab.train.program import CLASSIFIER
from tests.train import tiny


def test_an_epoch_reports_every_lane() -> None:
    pack = Pack(tiny.task(), tiny.members(3, epochs=2))
    assert pack.live == ["lane-0", "lane-1", "lane-2"]
    first, second = pack.train_epoch(), pack.train_epoch()
    assert [(r.key, r.epoch, r.finished) for r in second] == [(f"lane-{i}", 2, True) for i in range(3)]
    assert not any(r.finished for r in first)
    assert all({"train/loss", "train/error", "val/loss", "val/error", "test/loss", "test/error"} <= set(r.values) for r in first)
    assert all(isinstance(value, float) for r in first for value in r.values.values())
    assert all(r.seconds > 0 for r in first)
    assert pack.live == []
    assert pack.train_epoch() == []


def test_a_task_that_can_be_learnt_is_learnt() -> None:
    data = tiny.task((1, 6, 6), n=96, classes=2)
    pack = tiny.trained(data, tiny.members(2, lr=1e-2, epochs=25), epochs=25)
    assert all(pack.summary(key).test_error <= 5.0 for key in ("lane-0", "lane-1"))


def test_the_training_error_is_that_of_what_was_shown() -> None:
    data, lane = tiny.task(n=8), tiny.members(1)  # a single step: the error of the initial weights
    pack = Pack(data, lane)
    start = pack.checkpoint("lane-0").tensors
    net = NETWORKS["fc-a"](data.shape, 10).double()
    net.load_state_dict({key.split("/")[-1]: t for key, t in start.items() if key.startswith("classifier/weights/")})
    logits = net(data.train.x.double() / 255).detach()
    values = pack.train_epoch()[0].values
    assert values["train/loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, data.train.y).item())
    assert values["train/error"] == pytest.approx(100 * (logits.argmax(1) != data.train.y).double().mean().item())


def validation(monkeypatch: pytest.MonkeyPatch, errors: list[float]) -> None:
    """Let validation and test say what they are told, epoch by epoch; the test error is the validation error plus one."""
    left = iter(errors)
    current = [0.0]

    def told(group: Any, rows: Any, split: Any, heart: Any) -> list[tuple[float, float]]:
        if split is group._program.task.valid:
            current[0] = next(left)
            return [(1.0, current[0])] * len(rows)
        return [(2.0, current[0] + 1)] * len(rows)

    monkeypatch.setattr(pack_module.Group, "evaluate", told)


@pytest.mark.parametrize("curve", [False, True])
def test_the_lowest_validation_error_is_selected_and_the_earliest_of_equals(monkeypatch: pytest.MonkeyPatch, curve: bool) -> None:
    validation(monkeypatch, [30.0, 20.0, 25.0, 20.0])
    pack = Pack(tiny.task(), tiny.members(2, test_curve=curve))
    history, weights = [], []
    while pack.live:
        history.append(pack.train_epoch()[0])
        weights.append(pack.checkpoint("lane-0").tensors["classifier/weights/out.weight"])
    assert [r.best for r in history] == [True, True, False, False]
    assert ["test/error" in r.values for r in history] == [True, True, curve, curve]
    assert pack.summary("lane-0") == pack_module.Summary(2, 20.0, 21.0, False)
    best = pack.best("lane-0")
    assert best is not None
    assert torch.equal(best.tensors["out.weight"], weights[1])
    assert best.meta["epoch"] == 2


def test_the_best_classifier_loads_into_its_module() -> None:
    lane = tiny.members(1, network="cnn-a")
    best = tiny.trained(tiny.task(), lane, epochs=1).best("lane-0")
    assert best is not None
    NETWORKS["cnn-a"]((1, 12, 12), 10).load_state_dict(best.tensors)


def test_nothing_is_selected_before_the_first_epoch() -> None:
    pack = Pack(tiny.task(), tiny.members(1))
    assert pack.summary("lane-0") == pack_module.Summary(None, None, None, False)
    assert pack.best("lane-0") is None


def test_initial_weights_follow_the_seed_alone() -> None:
    classic, friendly = Pack(tiny.task(), tiny.members(2)), Pack(tiny.task(), tiny.members(2, "nft", n_f=2))
    start = [tiny.network(p.checkpoint(f"lane-{i}")) for p in (classic, friendly) for i in (0, 1)]
    assert torch.equal(start[0], start[2])
    assert torch.equal(start[1], start[3])
    assert not torch.equal(start[0], start[1])
    single = Pack(tiny.task(), tiny.members(1, precision="fp32")).checkpoint("lane-0")
    assert torch.equal(tiny.network(single).double(), start[0])


def test_ten_outputs_for_two_classes() -> None:
    data = tiny.task(classes=2)
    for outputs, width in (("native", 2), ("ten", 10)):
        pack = tiny.trained(data, tiny.members(2, outputs=outputs), epochs=1)
        assert len(pack.checkpoint("lane-0").tensors["classifier/weights/out.bias"]) == width


def test_progress_is_told_while_an_epoch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftlab.train.loop._PROGRESS_EVERY", 0.0)
    beats: list[int] = []
    Pack(tiny.task(), tiny.members(2)).train_epoch(lambda: beats.append(1))
    assert len(beats) >= 5


def test_deterministic_training_restores_torchs_switch() -> None:
    pack = Pack(tiny.task(), tiny.members(1), deterministic=True)
    pack.train_epoch()
    assert not torch.are_deterministic_algorithms_enabled()


def test_floats_and_bytes_give_the_networks_the_same_numbers() -> None:
    data = tiny.task()
    floats = [Split(split.x.float() / 255, split.y) for split in (data.train, data.valid, data.test)]
    other = Task("mnist", data.shape, 10, *floats, 1.0, "made for tests", "0" * 64)
    ends = [tiny.trained(each, tiny.members(1, precision="fp32")).checkpoint("lane-0") for each in (data, other)]
    assert tiny.distance(tiny.network(ends[0]), tiny.network(ends[1])) <= 1e-5


def member(key: str, **fields: Any) -> Member:
    return Member(key, 0, tiny.hypers(**fields))


@pytest.mark.parametrize(
    ("lanes", "says"),
    [
        ([], "at least one member"),
        ([member("a"), member("a")], "two members of a pack have the key a"),
        ([member("a"), member("b", batch_size=16)], "must share batch_size: batch_size is 16 for b but 8 for the others"),
        ([member("a"), member("b", algorithm="nft")], "must share"),
    ],
)
def test_what_cannot_train_together_is_refused(lanes: list[Member], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Pack(tiny.task(), lanes)


@pytest.mark.parametrize(
    ("shape", "fields"),
    [((144,), {"network": "cnn-a"}), ((1, 8, 8), {"network": "cnn-b"}), ((1, 3, 9), {"algorithm": "nft"}), ((9,), {"algorithm": "nft"})],
)
def test_networks_that_do_not_fit_the_task_are_refused(shape: tuple[int, ...], fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="use "):
        Pack(tiny.task(shape), [member("a", **fields)])


def test_an_empty_task_and_an_unknown_lane_are_refused() -> None:
    with pytest.raises(ConfigError, match="batches of 0 examples"):
        Pack(tiny.task(n=0), [member("a")])
    with pytest.raises(ConfigError, match="batches of 1 examples cannot train fc-b"):
        Pack(tiny.task(n=1), [member("a", network="fc-b")])
    with pytest.raises(ConfigError, match="no lane 'b' in this pack of a"):
        Pack(tiny.task(), [member("a")]).checkpoint("b")


def test_the_classifier_is_called_by_one_name() -> None:
    assert tiny.names(Pack(tiny.task(), [member("a")]).checkpoint("a")) == [CLASSIFIER]
