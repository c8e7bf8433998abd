"""Single and half precision: where each is used, and how far half is from single."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nftlab.train.arithmetic import PRECISIONS, arithmetic
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.mark.parametrize("lanes", [1, 3])
@tiny.QUICK_FIRST
def test_layers_multiply_in_bf16_and_the_rest_is_fp32(network: str, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, norms = set(), set()

    def seen(into: set[torch.dtype], function: Any) -> Any:
        def call(x: Tensor, weight: Tensor, *rest: Any, **named: Any) -> Tensor:
            out: Tensor = function(x, weight, *rest, **named)
            into.update((x.dtype, out.dtype))
            return out

        return call

    monkeypatch.setattr(F, "conv2d", seen(layers, F.conv2d))
    monkeypatch.setattr(F, "linear", seen(layers, F.linear))
    statistics = torch.batch_norm

    def normed(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *rest: Any) -> Tensor:
        norms.update((mean.dtype, variance.dtype, weight.dtype, bias.dtype))
        return statistics(x, weight, bias, mean, variance, *rest)

    monkeypatch.setattr(torch, "batch_norm", normed)
    members = tiny.members(lanes, "nft", network=network, n_f=2, precision="bf16")
    taken = tiny.trained(tiny.task(tiny.image(network)), members, epochs=2).checkpoint("lane-0").tensors
    assert layers == {torch.bfloat16}
    assert norms == {torch.float32}
    assert {t.dtype for name, t in taken.items() if "steps" not in name} == {torch.float32}


@tiny.SHALLOW_QUICK_FIRST
def test_gradients_in_bf16_are_those_of_fp32_to_its_rounding(network: str) -> None:
    def gradient(precision: str, k: int) -> Tensor:
        lanes = tiny.members(k, network=network, precision=precision, batch_size=40)
        return tiny.trained(tiny.task(tiny.image(network), n=40), lanes, epochs=1).checkpoint("lane-0").tensors["classifier/adam/m"]

    exact, alone, stacked = gradient("fp32", 1), gradient("bf16", 1), gradient("bf16", 3)
    # bf16 has 8 bits of mantissa: 0.004 a product; BatchNorm over few examples makes the most of it
    bound = 0.5 if network in ("fc-b", "resnet18") else 0.1
    assert 0 < tiny.distance(alone, exact) <= bound
    assert 0 < tiny.distance(stacked, exact) <= bound


def test_tf32_is_fp32_on_a_cpu() -> None:
    fp32, tf32 = (tiny.trained(tiny.task(), tiny.members(2, network="cnn-a", precision=p)).checkpoint("lane-1") for p in ("fp32", "tf32"))
    assert all(torch.equal(t, tf32.tensors[name]) for name, t in fp32.tensors.items())


def test_switches_of_the_process_are_given_back() -> None:
    def switches() -> list[Any]:
        backends = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
        return [*(backend.fp32_precision for backend in backends), torch.backends.cudnn.benchmark]

    before = switches()
    with arithmetic(torch.device("cuda"), PRECISIONS["tf32"], deterministic=False):
        assert switches() == ["tf32", "tf32", True]
    assert switches() == before
    with arithmetic(torch.device("cuda"), PRECISIONS["fp32"], deterministic=True):
        assert switches() == ["ieee", "ieee", False]
        assert torch.are_deterministic_algorithms_enabled()
    assert switches() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_half_precision_learns() -> None:
    data = tiny.task((1, 6, 6), n=96, classes=2)
    pack = tiny.trained(data, tiny.members(2, lr=1e-2, epochs=25, precision="bf16"), epochs=25)
    assert all((pack.summary(key).test_error or 0) <= 5.0 for key in ("lane-0", "lane-1"))


@pytest.mark.parametrize("network", ["fc-b", "resnet18", "cnn-a"])
def test_examples_move_in_bf16_too(network: str) -> None:
    """A gradient taken inside the map: BatchNorm's input is wrapped twice."""

    def gradient(precision: str, k: int) -> Tensor:
        fields = {"iterations_simp": 2, "step_simp": 10.0, "ratio_simp": 0.9}
        lanes = tiny.members(k, "ft", network=network, precision=precision, batch_size=40, **fields)
        return tiny.trained(tiny.task(n=40), lanes, epochs=1).checkpoint("lane-0").tensors["classifier/adam/m"]

    exact = gradient("fp32", 1)
    assert all(0 < tiny.distance(gradient("bf16", k), exact) <= 0.5 for k in (1, 3))
