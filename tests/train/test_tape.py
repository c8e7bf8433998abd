"""Recordings kept over epochs work on the numbers of each: with steps that only pretend to be recorded, on a CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nftlab.methods import METHODS
from nftlab.train.graph import WORTH, Recorder
from nftlab.train.lane import Lane, fresh
from nftlab.train.loop import Group
from nftlab.train.net import stack
from nftlab.train.pack import GRAPH, MAPPED, Pack
from nftlab.train.program import Program, build
from nftlab.train.tape import Tape
from tests.train import tiny

VARIANTS = [(name, variant) for name in METHODS for variant in tiny.VARIANTS.get(name, [{}])]
EPOCHS = 4


class Recording:
    """Replays by doing what the step, bound to its tensors, does."""

    made = 0

    def __init__(self, step: Callable[[], None]) -> None:
        self.replay = step
        Recording.made += 1


@pytest.fixture(autouse=True)
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", tuple)
    monkeypatch.setattr(Recorder, "_recorded", lambda recorder, step: Recording(step))
    monkeypatch.setattr(Recording, "made", 0)


def trained(program: Program, lanes: list[Lane], tape: Tape | None, epochs: int = EPOCHS) -> None:
    for _ in range(epochs):
        plans = [program.method.plan(lane.member.hypers, lane.epoch + 1, len(program.edges)) for lane in lanes]
        group = Group(program, lanes, plans, tape)
        assert len(list(group.train())) == sum(len(each.how) for each in plans[0].passes)
        assert all(means["train/loss"] > 0 for means in group.means())
        group.commit()


def lanes_of(program: Program, members: list[Any]) -> list[Lane]:
    return [fresh(program, member) for member in members]


def equal(one: Lane, other: Lane) -> bool:
    pairs = [(one.nets[name], other.nets[name]) for name in one.nets]
    tensors = [(getattr(a, part), getattr(b, part)) for a, b in pairs for part in ("weights", "steps")]
    tensors += [(a.buffers[name], b.buffers[name]) for a, b in pairs for name in a.buffers]
    tensors += [(a.moments[name], b.moments[name]) for a, b in pairs for name in a.moments]
    return one.epoch == other.epoch and all(torch.equal(a, b) for a, b in tensors)


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.ci)])  # three take longer; tests below stack two
@pytest.mark.parametrize("which", range(len(VARIANTS)), ids=[tiny.label(*each) for each in VARIANTS])
def test_epochs_replayed_are_epochs_trained(which: int, count: int) -> None:
    algorithm, variant = VARIANTS[which]
    same = {name: value[0] if isinstance(value, tuple) else value for name, value in {**tiny.LANES.get(algorithm, {}), **variant}.items()}
    members = tiny.members(count, algorithm, network="cnn-a", **same)  # with one plan
    program = build(tiny.task(n=8 * (WORTH + 4)), members[0].hypers)
    usual, kept = lanes_of(program, members), lanes_of(program, members)
    trained(program, usual, None)
    trained(program, kept, Tape(torch.device("cpu")))
    assert all(equal(a, b) for a, b in zip(usual, kept, strict=True))


def test_an_epoch_like_an_earlier_one_records_nothing() -> None:
    members = tiny.members(2, "ct")
    program = build(tiny.task(n=8 * 20), members[0].hypers)
    lanes, tape = lanes_of(program, members), Tape(torch.device("cpu"))
    trained(program, lanes, tape)
    assert Recording.made == 1
    trained(program, lanes_of(program, members), tape)  # other lanes of the same settings
    assert Recording.made == 1
    trained(program, lanes_of(program, members[:1]), tape, epochs=1)
    assert Recording.made == 2


@pytest.mark.parametrize("count", [1, 2])
def test_what_makes_batches_ahead_is_replayed_too(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In windows of two steps an epoch of 21 has enough of them, the last one short."""
    monkeypatch.setattr("nftlab.train.window.STEPS", 2)
    members = tiny.members(count, "nft", network="cnn-a", n_f=2, ratio_simp=0.9)
    program = build(tiny.task(n=8 * 21 - 3), members[0].hypers)
    usual, kept = lanes_of(program, members), lanes_of(program, members)
    tape = Tape(torch.device("cpu"))
    trained(program, usual, None)
    trained(program, kept, tape)
    assert all("fill" in known for known in tape._graphs.values())
    assert len(tape._graphs) == 2  # the simplifier's pass and the classifier's
    assert all(equal(a, b) for a, b in zip(usual, kept, strict=True))


def test_a_pass_that_could_not_begin_leaves_its_recordings_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    members = tiny.members(1, "ct")
    program = build(tiny.task(n=8 * 20), members[0].hypers)
    lanes, usual, tape = lanes_of(program, members), lanes_of(program, members), Tape(torch.device("cpu"))
    trained(program, lanes, tape, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr("nftlab.train.tape._copy", broken := _Broken(1))
        with pytest.raises(torch.OutOfMemoryError):
            trained(program, lanes, tape, epochs=1)
        assert broken.calls == 2  # the lanes' numbers went, what the pass brings along did not
    trained(program, lanes, tape, epochs=2)
    assert Recording.made == 1
    trained(program, usual, None, epochs=3)
    assert all(equal(a, b) for a, b in zip(usual, lanes, strict=True))


class _Broken:
    """Copies so many times, then memory is short."""

    def __init__(self, good: int) -> None:
        self.good, self.calls = good, 0

    def __call__(self, old: list[torch.Tensor], new: list[torch.Tensor]) -> None:
        self.calls += 1
        if self.calls > self.good:
            raise torch.OutOfMemoryError
        if old:
            torch._foreach_copy_(old, new)


def test_learning_rates_that_change_are_recorded_anew_and_the_oldest_forgotten() -> None:
    members = tiny.members(2, "ct", epochs=9, lr_schedule="cosine")
    program = build(tiny.task(n=8 * 20), members[0].hypers)
    lanes, tape = lanes_of(program, members), Tape(torch.device("cpu"))
    trained(program, lanes, tape, epochs=9)
    assert Recording.made == 9
    assert len(tape._passes) == len(tape._graphs) == 4


def test_what_an_epoch_did_not_ask_for_is_forgotten() -> None:
    """Friendly training takes fewer iterations the longer it lasts: each number would leave a recording behind for good."""
    members = tiny.members(1, "ft", epochs=8, iterations_simp=3)
    program = build(tiny.task(n=8 * 40), members[0].hypers)
    lanes, tape = lanes_of(program, members), Tape(torch.device("cpu"))
    for epoch in range(1, 9):
        trained(program, lanes, tape, epochs=1)
        asked = {how for each in program.method.plan(members[0].hypers, epoch, len(program.edges)).passes for how in each.how}
        last = tape._graphs[next(reversed(tape._passes))].keys() - {"fill"}
        assert {how for how, _ in last} <= asked
    assert Recording.made > len(last)


def test_groups_that_train_one_after_the_other_keep_their_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mapped lanes whose epochs have two shapes, as where one has ended its simplified epochs and the others have not."""
    stream = SimpleNamespace(device="cpu", wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    members = [
        *tiny.members(2, "nft", epochs=9, simplifier="fc", ratio_simp=0.9),
        *tiny.members(4, "nft", epochs=9, simplifier="fc", ratio_simp=0.0)[2:],
    ]
    pack = Pack(tiny.task(n=8 * 20), members)
    pack._way = MAPPED + GRAPH
    for _ in range(2):
        pack.train_epoch()
    assert len(pack._tapes) == 2
    made = Recording.made
    for _ in range(3):
        pack.train_epoch()
    assert Recording.made == made > 0


def test_lanes_stand_where_they_stood_when_an_epoch_fails() -> None:
    members = tiny.members(2, "ct")
    program = build(tiny.task(n=8 * 20), members[0].hypers)
    lanes, tape = lanes_of(program, members), Tape(torch.device("cpu"))
    trained(program, lanes, tape, epochs=1)
    before = [stack([lane.nets["classifier"]]) for lane in lanes]
    plans = [program.method.plan(lane.member.hypers, 2, len(program.edges)) for lane in lanes]
    steps = Group(program, lanes, plans, tape).train()
    for _ in range(12):
        next(steps)
    assert all(torch.equal(lane.nets["classifier"].weights, state.weights) for lane, state in zip(lanes, before, strict=True))
    usual = lanes_of(program, members)
    trained(program, usual, None, epochs=2)
    trained(program, lanes, tape, epochs=1)
    assert all(equal(a, b) for a, b in zip(usual, lanes, strict=True))
