"""What a method may do beyond those that exist: leave examples out, follow the input's gradient, train by its own objective."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nftlab.hypers import ALGORITHMS
from nftlab.methods import METHODS, Method, Pass, Plan
from nftlab.methods.base import Nets, Numbers
from nftlab.spec.grammar import METRICS
from nftlab.train import Pack
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
