"""Parameter counts of the published networks, and what networks refuse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nftlab.errors import ConfigError
from nftlab.methods.base import mapped
from nftlab.train.arithmetic import PRECISIONS
from nftlab.train.cifar_nets import VGG, ThinResNet, WideResNet
from nftlab.train.layers import Norm2d, dropped
from nftlab.train.net import Net, channels_last, stack
from nftlab.train.networks import NETWORKS
from nftlab.train.rng import seed_of
from nftlab.train.simplifiers import SIMPLIFIERS, by_products
from tests.train import reference_nets, tiny

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
ONE_OF_EACH_FAMILY_FIRST = pytest.mark.parametrize(
    "name", ["lenet", *tiny.DEEP, *(pytest.param(name, marks=pytest.mark.ci) for name in tiny.TWINS)]
)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("network", "shape", "classes", "parameters"),
    [
        ("fc-a", GREY, 10, 7_960),
        ("fc-a", GREY, 2, 7_872),
        ("fc-a", COLOUR, 10, 30_840),
        ("fc-a", (20002,), 2, 200_052),
        ("fc-a", (768,), 2, 7_712),
        ("fc-b", GREY, 10, 11_987_510),
        ("fc-b", GREY, 2, 11_983_502),
        ("fc-b", COLOUR, 10, 17_707_510),
        ("fc-b", (20002,), 2, 60_028_502),
        ("fc-b", (768,), 2, 11_943_502),
        ("cnn-a", GREY, 10, 1_199_882),
        ("cnn-a", GREY, 2, 1_198_850),
        ("cnn-a", COLOUR, 10, 1_626_442),
        ("cnn-b", GREY, 10, 734_298),
        ("cnn-b", GREY, 2, 733_266),
        ("cnn-b", COLOUR, 10, 1_063_002),
        ("resnet18", COLOUR, 10, 11_173_962),
        ("lenet", COLOUR, 10, 62_006),
        ("vgg13", COLOUR, 10, 9_416_010),
        ("vgg16", COLOUR, 10, 14_728_266),
        ("vgg19", COLOUR, 10, 20_040_522),
        ("thin-resnet18", COLOUR, 10, 175_818),
        ("thin-resnet34", COLOUR, 10, 514_218),
        ("thin-resnet50", COLOUR, 10, 545_930),
        ("wrn10", COLOUR, 10, 7_438_730),
        ("wrn16", COLOUR, 10, 17_122_250),
        ("wrn22", COLOUR, 10, 26_805_770),
    ],
)
def test_parameters_of_classifiers(network: str, shape: tuple[int, ...], classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count(NETWORKS[network](shape, classes)) == parameters


def written_out(name: str) -> nn.Module:
    """The network as plain modules, for colour images of 32×32, as narrow as the tests have it."""
    if name == "lenet":
        return reference_nets.lenet(3, 32, 10)
    if name.startswith("vgg"):
        return reference_nets.vgg(3, 10, VGG.widths, {"vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[name])
    if name.startswith("thin"):
        depths = (2, 2, 2) if name.endswith("18") else (3, 4, 6)
        return reference_nets.thin_resnet(3, 10, ThinResNet.widths, depths, name.endswith("50"))
    return reference_nets.wide_resnet(3, 10, WideResNet.widths, {"wrn10": 1, "wrn16": 2, "wrn22": 3}[name])


@pytest.mark.usefixtures("narrow")
@ONE_OF_EACH_FAMILY_FIRST
def test_networks_are_those_written_out(name: str) -> None:
    """In a training pass with masks, in what it leaves in running statistics, and in eval mode."""
    mine, plain = NETWORKS[name]((3, 32, 32), 10).double(), written_out(name).double()
    reference_nets.load(plain, list(mine.parameters()))
    x = torch.rand(5, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    masks = [torch.rand(5, *shape).gt(rate).double() / (1 - rate) for shape, rate in mine.dropout]  # type: ignore[union-attr]
    reference_nets.drop(plain, masks)
    assert len(masks) == sum(isinstance(layer, reference_nets.Dropped) for layer in plain.modules())
    here, there = mine(x, masks), plain(x)
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-11)
    for logits in (here, there):
        F.cross_entropy(logits, torch.arange(5)).backward()
    for own, its in zip(mine.parameters(), plain.parameters(), strict=True):
        assert its.grad is not None
        if own.grad is None:
            assert its.grad.abs().max() < 1e-12, "what is not trained is what has no gradient"
        else:
            torch.testing.assert_close(own.grad, its.grad, rtol=1e-7, atol=1e-11)
    reference_nets.drop(plain, None)
    torch.testing.assert_close(mine.eval()(x), plain.eval()(x), rtol=1e-9, atol=1e-11)


@ONE_OF_EACH_FAMILY_FIRST
def test_no_bias_is_trained_by_rounding(name: str, narrow: None) -> None:
    """A gradient that is zero but for rounding is none at all: Adam would make whole steps of it."""
    net = NETWORKS[name]((3, 32, 32), 10).double()
    x = torch.rand(6, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    masks = [torch.rand(6, *shape).gt(rate).double() for shape, rate in net.dropout]  # type: ignore[union-attr]
    F.cross_entropy(net(x, masks), torch.arange(6)).backward()
    sizes = {name: p.grad.abs().max().item() for name, p in net.named_parameters() if p.grad is not None}
    assert {name for name, size in sizes.items() if size < 1e-9} == set()


@pytest.mark.parametrize(
    ("nu", "n_f", "counts"),
    [
        (1, 64, (186_435, 192_195, 188_745, 194_505)),
        (1, 96, (417_891, 426_531, 421_353, 429_993)),
        (1, 128, (741_507, 753_027, 746_121, 757_641)),
        (2, 64, (999_171, 1_004_931, 1_001_481, 1_007_241)),
        (2, 96, (2_245_251, 2_253_891, 2_248_713, 2_257_353)),
        (2, 128, (3_988_995, 4_000_515, 3_993_609, 4_005_129)),
    ],
)
def test_parameters_of_unets(nu: int, n_f: int, counts: tuple[int, ...]) -> None:
    kinds = [(GREY, False), (GREY, True), (COLOUR, False), (COLOUR, True)]
    for (shape, conditioned), parameters in zip(kinds, counts, strict=True):
        h = SimpleNamespace(n_f=n_f, nu=nu, label_conditioning=conditioned, aux_output="bn_relu")
        with torch.device("meta"):
            net = SIMPLIFIERS["unet"](shape, 10, h)
            h.aux_output = "linear"
            linear = SIMPLIFIERS["unet"](shape, 10, h)
        assert count(net) == parameters
        assert count(linear) == parameters - 2 * shape[0]


@pytest.mark.parametrize(
    ("features", "conditioned", "parameters"),
    [(20002, False, 10_261_282), (20002, True, 10_263_842), (768, False, 394_240), (768, True, 396_800)],
)
def test_parameters_of_the_flat_simplifier(features: int, conditioned: bool, parameters: int) -> None:
    with torch.device("meta"):
        assert count(SIMPLIFIERS["fc"]((features,), 10, SimpleNamespace(label_conditioning=conditioned))) == parameters


@pytest.mark.parametrize(("network", "shape"), [("cnn-a", (784,)), ("cnn-b", (1, 8, 8)), ("cnn-a", (1, 5, 9))])
def test_networks_refuse_examples_that_they_cannot_take(network: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="use fc-a or fc-b"):
        NETWORKS[network](shape, 10)


def test_a_bias_before_batch_norm_has_no_gradient_and_the_same_output() -> None:
    net = NETWORKS["fc-b"]((6,), 3)
    net(torch.rand(5, 6)).sum().backward()
    first, plain = net.hidden[0], nn.Linear(6, 2500)
    plain.load_state_dict(first.state_dict())
    assert first.bias.grad is None
    assert torch.equal(first(torch.ones(2, 6)), plain(torch.ones(2, 6)))


def test_a_network_is_a_pure_function_of_its_arguments() -> None:
    net = Net(lambda: NETWORKS["fc-b"]((6,), 3), PRECISIONS["fp32"])
    state = net.initial(0, "weights", torch.float64, torch.device("cpu"))
    before = {name: buffer.clone() for name, buffer in state.buffers.items()}
    _, changed = net(net.views(state.weights), state.buffers, torch.rand(5, 6).double(), train=True)
    assert all(torch.equal(state.buffers[name], buffer) for name, buffer in before.items())
    assert not any(torch.equal(changed[name], buffer) for name, buffer in before.items())
    assert torch.equal(net.flat(net.views(state.weights)), state.weights)


def test_parameters_begin_where_kernels_expect_them() -> None:
    net = Net(lambda: NETWORKS["fc-a"]((6,), 3), PRECISIONS["fp32"])
    weights = net.initial(0, "weights", torch.float32, torch.device("cpu")).weights
    assert [view.storage_offset() % 32 for view in net.views(weights).values()] == [0] * 4
    packed = net.packed(weights)
    assert (len(packed), packed.count_nonzero()) == (60 + 10 + 30 + 3, weights.count_nonzero())
    assert torch.equal(net.spread(packed), weights)
    with pytest.raises(RuntimeError):
        net.spread(packed[1:])


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(3, 4, 7, 5), (2, 1, 1, 2), (2, 3, 2, 1)])
def test_products_double_images_as_torch_does(shape: tuple[int, ...], form: torch.memory_format) -> None:
    x = torch.rand(2, *shape).double()
    usual = [F.interpolate(each, scale_factor=2, mode="bilinear", align_corners=True) for each in x]
    for each, expected in zip(x, usual, strict=True):
        found = by_products(each.to(memory_format=form))
        assert torch.allclose(found, expected, atol=1e-14)
        assert found.is_contiguous(memory_format=form)
    assert torch.allclose(torch.func.vmap(by_products)(x), torch.stack(usual), atol=1e-14)


@pytest.mark.parametrize("training", [True, False])
def test_one_channel_mapped_is_normed_as_torch_does(training: bool) -> None:
    norm, x = Norm2d(1).train(training).double(), torch.rand(3, 4, 1, 5, 6).double()
    own = {"weight": torch.rand(3, 1).double(), "bias": torch.rand(3, 1).double()}
    buffers = {"running_mean": torch.rand(3, 1).double(), "running_var": torch.rand(3, 1).double()}
    before = {name: buffer.clone() for name, buffer in buffers.items()}
    found = torch.func.vmap(lambda p, b, x: torch.func.functional_call(norm, (p, b), (x,)))(own, buffers, x)
    for k in range(3):
        mean, var = before["running_mean"][k], before["running_var"][k]
        expected = F.batch_norm(x[k], mean, var, own["weight"][k], own["bias"][k], training)
        assert torch.allclose(found[k], expected, atol=1e-12)
        assert torch.allclose(buffers["running_mean"][k], mean, atol=1e-14)
        assert torch.allclose(buffers["running_var"][k], var, atol=1e-14)


@pytest.mark.parametrize("shape", [(6,), (2, 3, 4)])
@pytest.mark.parametrize("conditioned", [False, True])
def test_the_flat_simplifier_is_one_hidden_layer_of_relu_units(shape: tuple[int, ...], conditioned: bool) -> None:
    net: Any = SIMPLIFIERS["fc"](shape, 10, SimpleNamespace(label_conditioning=conditioned))
    x, y = torch.rand(5, *shape), torch.tensor([0, 9, 4, 4, 1])
    seen = torch.cat([x.flatten(1), torch.eye(10)[y]], 1) if conditioned else x.flatten(1)
    hidden = (seen @ net.hidden.weight.T + net.hidden.bias).clamp(min=0)
    assert torch.allclose(net(x, y), (hidden @ net.out.weight.T + net.out.bias).view(5, *shape), atol=1e-6)


def test_initial_weights_are_drawn_without_touching_the_generators_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(lambda: NETWORKS["fc-a"]((6,), 3), PRECISIONS["fp32"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(5, "weights"))
        expected = NETWORKS["fc-a"]((6,), 3)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("a GPU's generator was seeded"))
    state = net.initial(5, "weights", torch.float32, torch.device("cpu"))
    assert torch.equal(net.packed(state.weights), torch.cat([p.detach().flatten() for p in expected.parameters()]))


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_dropout_in_bf16_rounds_once_as_casts_would(form: torch.memory_format) -> None:
    """1 / (1 − rate) has no bf16 of its own: it is multiplied in fp32, forward and back, alone, mapped and under a gradient's gradient."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(4, 8, 5, 6, 7, generator=source).bfloat16()
    mask = (torch.rand(4, 8, 5, 6, 7, generator=source) > 0.25).float() / 0.75

    def cast(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (x * mask).to(x.dtype)

    def made(function: Any) -> list[torch.Tensor]:
        def loss(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (function(x, mask).float() ** 3).sum()

        alone = x[0].contiguous(memory_format=form).requires_grad_()
        (slope,) = torch.autograd.grad(loss(alone, mask[0]), alone, create_graph=True)
        (curve,) = torch.autograd.grad((slope.float() ** 2).sum(), alone)
        mapped = x.clone().requires_grad_()
        (slopes,) = torch.autograd.grad((torch.func.vmap(function)(mapped, mask).float() ** 3).sum(), mapped)
        inside = torch.func.vmap(torch.func.grad(loss))(x, mask)
        mixed = [torch.func.vmap(function, (0, None))(x, mask[0]), torch.func.vmap(function, (None, 0))(x[0], mask)]
        return [function(alone, mask[0]).detach(), slope.detach(), curve, slopes, inside, *mixed]

    for mine, usual in zip(made(dropped), made(cast), strict=True):
        assert mine.dtype == torch.bfloat16
        assert torch.equal(mine, usual)
        assert mine.stride() == usual.stride()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_one_lane_lie_channels_last(channels: int) -> None:
    x = torch.randn(2, channels, 4, 5)
    assert torch.equal(channels_last(x), x)
    assert channels_last(x).stride() == (20 * channels, 1, 5 * channels, channels)
    assert channels_last(x[:, 0]).stride() == x[:, 0].stride()


@pytest.mark.parametrize("network", ["cnn-a", "resnet18"])
def test_a_network_is_shown_images_channels_last_whoever_made_them(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU; what a simplifier or a gradient hands on, too. Those of mapped lanes stay, also where all see the same."""
    lying: list[bool] = []
    real = F.conv2d

    def noted(x: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
        lying.append(not mapped(x) and x.is_contiguous(memory_format=torch.channels_last))
        return real(x, *others, **options)

    monkeypatch.setattr(F, "conv2d", noted)
    net = Net(lambda: NETWORKS[network]((3, 12, 12), 10), PRECISIONS["fp32"])
    state = net.initial(0, "x", torch.float32, torch.device("cpu"))
    net(net.layers(state.weights), state.buffers, torch.randn(2, 3, 12, 12), train=False)
    assert lying
    assert all(lying)
    lying.clear()
    stacked = torch.randn(2, 2, 3, 12, 12)
    torch.func.vmap(lambda x: net(net.layers(state.weights), state.buffers, x, train=False)[0])(stacked)
    both = stack([state, state])
    torch.func.vmap(lambda weights, buffers: net(net.views(weights), buffers, stacked[0], train=False)[0])(both.weights, both.buffers)
    assert not any(lying)
