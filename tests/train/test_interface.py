"""What a method may do beyond those that exist: leave examples out, follow the input's gradient, train by its own objective."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nftlab.errors import ConfigError
from nftlab.hypers import ALGORITHMS
from nftlab.methods import METHODS, Method, Pass, Plan
from nftlab.methods.base import Nets, Numbers
from nftlab.spec.grammar import METRICS
from nftlab.train import Pack, program
from nftlab.train.measure import kinds
from nftlab.train.program import build
from tests.train import tiny


class EasyHalf(Method):
    """Keeps the half of a batch that the classifier finds easiest, for the first two batches of an epoch."""

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        return Plan((Pass("classifier", [4, 4] + [0] * (steps - 2)),))

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        losses = F.cross_entropy(nets["classifier"](x, train=False), y, reduction="none")
        kept = losses.argsort(stable=True)[:how].sort()[0]
        return x[kept], y[kept]


class Easier(Method):
    """Moves examples down the gradient of their loss, `how` times, by a step that differs between lanes."""

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        return Plan((Pass("classifier", [2] * steps, {"step": [h.lr * 100] * steps}),))

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        slope = torch.func.grad(lambda shown: F.cross_entropy(nets["classifier"](shown, train=False), y))
        for _ in range(how):
            x = x - numbers["step"] * slope(x)
        assert not x.requires_grad  # what is shown is data to the step that follows
        return x, y


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("algorithm", METHODS)
def test_a_method_records_the_curves_that_its_hyper_parameters_declare(algorithm: str) -> None:
    recorded: set[str] = set()
    for variant in tiny.VARIANTS.get(algorithm, [{}]):
        pack = Pack(tiny.task(n=24), tiny.members(1, algorithm, **variant))
        recorded |= {name for _ in range(4) for result in pack.train_epoch() for name in result.values}
    assert recorded - set(METRICS) == set(ALGORITHMS[algorithm].curves)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("network", ["cnn-a", "fc-b"])
@pytest.mark.parametrize("method", [EasyHalf, Easier])
def test_alone_equals_stacked(monkeypatch: pytest.MonkeyPatch, method: type[Method], network: str) -> None:
    data, lanes = tiny.task(n=24), tiny.members(3, network=network)
    classic = tiny.trained(data, lanes)
    monkeypatch.setitem(METHODS, "ct", method)
    pack = tiny.trained(data, lanes)
    for lane in lanes:
        stacked = tiny.network(pack.checkpoint(lane.key))
        assert tiny.distance(stacked, tiny.network(tiny.trained(data, [lane]).checkpoint(lane.key))) <= 1e-9
        assert tiny.distance(stacked, tiny.network(classic.checkpoint(lane.key))) > 1e-6


def test_hyper_parameters_that_differ_between_lanes_cannot_be_read_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Easier):
        def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
            return x * self.h.lr, y

    monkeypatch.setitem(METHODS, "ct", Careless)
    with pytest.raises(AttributeError, match="lr"):
        tiny.trained(tiny.task(), tiny.members(2), epochs=1)


@pytest.mark.parametrize(
    ("planned", "told"),
    [
        (Pass("classifier", [1] * 3), "3 steps (how) for the pass that trains 'classifier' in epoch 1, which has 5 batches"),
        (Pass("classifier", [1] * 5, {"step": [0.1] * 4}), "4 numbers 'step' for the pass that trains 'classifier' in epoch 1"),
        (Pass("classifier", [0] * 5, kept=16), "5 steps (how) for the pass that trains 'classifier' in epoch 1, which has 2 batches"),
    ],
)
def test_a_plan_of_another_length_than_its_pass_is_told(planned: Pass, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(Method):
        def plan(self, h: Any, epoch: int, steps: int) -> Plan:
            return Plan((planned,))

    monkeypatch.setitem(METHODS, "ct", Short)
    lanes = tiny.members(1)
    for train in (lambda: tiny.trained(tiny.task(), lanes), lambda: kinds(build(tiny.task(), lanes[0].hypers))):
        with pytest.raises(ConfigError, match=re.escape(f"ct plans {told}")):
            train()


@pytest.mark.parametrize(
    ("table", "missing", "told"),
    [
        ("METHODS", "nft", "algorithm 'nft' cannot be trained here: it has no line in METHODS (nftlab/methods/__init__.py)"),
        ("NETWORKS", "cnn-a", "network 'cnn-a' cannot be trained here: it has no line in NETWORKS (nftlab/train/networks.py)"),
    ],
)
def test_what_is_known_to_sweep_files_alone_is_told_with_the_dictionary_it_lacks(
    table: str, missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, table, {name: found for name, found in getattr(program, table).items() if name != missing})
    with pytest.raises(ConfigError, match=re.escape(told)):
        build(tiny.task(), tiny.hypers("nft", network="cnn-a"))
