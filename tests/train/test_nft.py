"""Neural friendly training in the loop: which network moves when, and what it comes to at its limits."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from nftlab.hypers import NFT_MODES
from nftlab.methods import Plan
from nftlab.train import Pack
from nftlab.train.lane import fresh
from nftlab.train.loop import Group, Heart, interleave
from nftlab.train.networks import FCB
from nftlab.train.program import build
from nftlab.train.simplifiers import UNet
from tests.train import tiny

MODES = pytest.mark.parametrize("mode", NFT_MODES)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the U-Net's forward passes."""
    counter, forward = Counter[str](), UNet.forward

    def counted(self: UNet, x: Tensor, y: Tensor) -> Tensor:
        counter["unet"] += 1
        return forward(self, x, y)

    monkeypatch.setattr(UNet, "forward", counted)
    return counter


@MODES
@pytest.mark.parametrize(("trains", "rests"), [("simplifier", "classifier"), ("classifier", "simplifier")])
@pytest.mark.parametrize("network", ["cnn-a", "fc-b"])
@pytest.mark.usefixtures("narrow")
def test_a_pass_moves_one_network_only(mode: str, network: str, trains: str, rests: str) -> None:
    member = tiny.members(1, "nft", mode=mode, n_f=2, network=network, first_epoch="simplified")[0]
    program = build(tiny.task(), member.hypers)
    lane = fresh(program, member)
    before = {name: state.weights.clone() for name, state in lane.nets.items()}
    statistics = {name: buffer.clone() for name, buffer in lane.nets["classifier"].buffers.items()}
    whole = program.method.plan(member.hypers, 1, len(program.edges))
    group = Group(program, [lane], [Plan(tuple(each for each in whole.passes if each.trains == trains))])
    interleave([group], Heart(lambda: None))
    group.commit()
    assert torch.equal(lane.nets[rests].weights, before[rests])
    assert not torch.equal(lane.nets[trains].weights, before[trains])
    if network == "fc-b":  # the classifier's statistics follow the simplifier's pass in the code, not in the paper
        kept = all(torch.equal(lane.nets["classifier"].buffers[name], old) for name, old in statistics.items())
        assert kept == (mode == "paper" and trains == "simplifier")


def test_the_simplifier_is_not_called_after_the_switch(calls: Counter[str]) -> None:
    lanes = tiny.members(2, "nft", mode="code", n_f=2, ratio_simp=0.5, eta_max=10.0)
    pack = Pack(tiny.task(), lanes)
    per_epoch = []
    for _ in range(4):
        before = calls["unet"]
        pack.train_epoch()
        per_epoch.append(calls["unet"] - before)
    assert per_epoch == [10, 10, 0, 0]  # five batches each for the classifier's pass and the simplifier's


def test_a_lane_whose_schedule_is_over_does_not_pay_for_one_whose_is_not(calls: Counter[str]) -> None:
    over, early = tiny.members(2, "nft", mode="code", n_f=2, eta_max=10.0)
    lanes = [tiny.Member("over", 0, tiny.hypers("nft", ratio_simp=0.0, n_f=2)), early]
    pack = Pack(tiny.task(), lanes)
    pack.train_epoch()
    assert calls["unet"] == 10
    alone = tiny.trained(tiny.task(), [tiny.Member("over", over.seed, lanes[0].hypers)], epochs=1)
    assert torch.equal(tiny.network(alone.checkpoint("over")), tiny.network(pack.checkpoint("over")))


def test_epochs_before_the_switch_are_not_selected_in_code_mode() -> None:
    pack = Pack(tiny.task(), tiny.members(1, "nft", mode="code", n_f=2, ratio_simp=0.5))
    results = [pack.train_epoch()[0] for _ in range(4)]
    assert [result.best for result in results[:3]] == [False, False, True]
    assert [set(result.values) >= {"nft/eta", "nft/delta", "nft/strength"} for result in results] == [True, True, False, False]
    assert pack.summary("lane-0").best_epoch in (3, 4)


@MODES
def test_an_identity_for_a_simplifier_is_classic_training(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(UNet, "forward", lambda self, x, y: x + 0 * self.up[0][0].weight.sum())
    data = tiny.task()
    friendly = tiny.trained(data, tiny.members(1, "nft", network="cnn-a", mode=mode, n_f=2)).checkpoint("lane-0")
    classic = tiny.trained(data, tiny.members(1, network="cnn-a")).checkpoint("lane-0")
    assert torch.equal(tiny.network(friendly), tiny.network(classic))


def test_a_large_penalty_drives_the_perturbation_down() -> None:
    shrinking = tiny.members(1, "nft", mode="paper", n_f=4, nu=1, eta_max=1e5, ratio_simp=0.99, epochs=40, lr_simp=1e-2)
    pack = Pack(tiny.task(), shrinking)
    deltas = [result.values.get("nft/delta") for result in (pack.train_epoch()[0] for _ in range(25))]
    assert deltas[0] is None  # the first epoch is of raw data
    assert deltas[24] < 0.1 * deltas[1]


def test_validation_and_its_statistics_follow_the_simplifiers_pass_in_code_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FCB, "widths", (8,))
    ends = {}
    for state in ("train", "eval"):
        lanes = tiny.members(1, "nft", network="fc-b", mode="code", n_f=2, clf_in_simp=state, ratio_simp=0.9, epochs=9)
        ends[state] = tiny.trained(tiny.task(), lanes, epochs=1).checkpoint("lane-0").tensors
    mean = "classifier/buffers/hidden.1.running_mean"
    assert torch.equal(ends["train"]["classifier/weights/out.weight"], ends["eval"]["classifier/weights/out.weight"])
    assert not torch.equal(ends["train"][mean], ends["eval"][mean])


@pytest.mark.parametrize("conditioned", [False, True])
def test_vectors_and_images_take_the_flat_simplifier(conditioned: bool) -> None:
    for shape in ((6,), (1, 5, 7)):
        data = tiny.task(shape, classes=2)
        lanes = tiny.members(2, "nft", simplifier="fc", label_conditioning=conditioned, outputs="ten")
        pack = tiny.trained(data, lanes, epochs=1)
        width = pack.checkpoint("lane-0").tensors["simplifier/weights/hidden.weight"].shape[1]
        assert width == tiny.features(data) + (10 if conditioned else 0)


@pytest.mark.parametrize("shape", [(3, 9, 7), (1, 13, 12), (2, 4, 5)])
@pytest.mark.parametrize("nu", [1, 2])
def test_unets_take_odd_images(shape: tuple[int, ...], nu: int) -> None:
    net = UNet(shape, 10, n_f=2, nu=nu, linear=False)
    out = net(torch.rand(3, *shape), torch.tensor([0, 9, 4]))
    assert out.shape == (3, *shape)
    assert (out >= 0).all()
