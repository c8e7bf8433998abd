"""The loop against straight-line programs of modules and torch.optim.Adam (reference.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nftlab.configuration import static_of
from nftlab.data.noise import noisy
from nftlab.data.task import Task
from nftlab.methods.base import bounds
from nftlab.train import Checkpoint, Member, Pack
from nftlab.train.feed import Feed
from nftlab.train.networks import FCB, NETWORKS, ResNet18
from nftlab.train.rng import generator
from tests.train import reference, reference_nets, tiny

EPOCHS = 3
WRITTEN_OUT = ("fc-a", "fc-b", "cnn-a", "cnn-b", "resnet18")  # in reference_nets.py: the published networks
CONVS = {"cnn-a": ((32, 3), (64, 3)), "cnn-b": ((32, 4), (48, 4), (64, 3), (64, 2))}
pytestmark = pytest.mark.usefixtures("narrow")


def classifier(name: str, start: Checkpoint, classes: int = 10) -> nn.Module:
    """The reference's classifier with the weights that the pack starts from."""
    if name == "fc-a":
        net = reference_nets.fc_a(144, classes)
    elif name == "fc-b":
        net = reference_nets.fc_b(144, classes, FCB.widths)
    elif name == "resnet18":
        net = reference_nets.resnet18(1, classes, ResNet18.widths)
    else:
        net = reference_nets.cnn(CONVS[name], 1, 12, classes)
    return loaded(net, start, "classifier")


def loaded(net: nn.Module, start: Checkpoint, name: str) -> nn.Module:
    net.double()
    reference_nets.load(net, [t for key, t in start.tensors.items() if key.startswith(f"{name}/weights/")])
    return net


def orders(data: Task, seed: int, stream: str = "") -> list[list[Tensor]]:
    """The rows of every batch of every epoch."""
    permutations = [torch.randperm(len(data.train), generator=generator(seed, f"{stream}order", e)) for e in range(1, EPOCHS + 1)]
    return [[order[start:stop] for start, stop in bounds(len(data.train), 8)] for order in permutations]


def masks(data: Task, seed: int, network: str, stream: str = "") -> list[list[Sequence[Tensor]]]:
    """The dropout masks of every batch of every epoch."""
    sites = NETWORKS[network](data.shape, 10).dropout
    feeds = [Feed(data.train, [seed], [e], stream, sites) for e in range(1, EPOCHS + 1)]  # type: ignore[arg-type]
    edges = bounds(len(data.train), 8)
    return [[feed.batch(torch.arange(*edge), 1.0, torch.float64)[2] for edge in edges] for feed in feeds]


def everything(net: nn.Module) -> Tensor:
    """Parameters and running statistics as one vector, in the order of `tiny.network`."""
    statistics = [b.double().flatten() for name, b in net.named_buffers() if "num_batches" not in name]
    return torch.cat([p.detach().flatten() for p in net.parameters()] + statistics)


def run(lane: Member, data: Task) -> tuple[Checkpoint, Checkpoint]:
    """The lane before and after, trained in company."""
    other = tiny.members(2, lane.hypers.algorithm, **{"network": lane.hypers.network, **switches(lane)})[1]
    pack = Pack(data, [other, lane])
    start = pack.checkpoint(lane.key)
    for _ in range(EPOCHS):
        pack.train_epoch()
    return start, pack.checkpoint(lane.key)


def switches(lane: Member) -> dict[str, Any]:
    """The fields that lanes must share."""
    return {name: value for name, value in static_of(lane.hypers).items() if name not in ("algorithm", "network")}


@pytest.mark.parametrize("network", WRITTEN_OUT)
def test_classic_training(network: str) -> None:
    data, h = tiny.task(n=33), tiny.hypers(network=network, weight_decay=1e-2)
    start, end = run(Member("x", 5, h), data)
    net = classifier(network, start)
    x = data.train.x.double() * data.scale
    reference.classic(net, x, data.train.y, orders(data, 5), masks(data, 5, network), reference.adam(net, h.lr, h.weight_decay))
    assert tiny.distance(tiny.network(end), everything(net)) <= 1e-9


@pytest.mark.parametrize("network", ["cnn-a", "resnet18"])
def test_the_published_recipe_of_resnets(network: str) -> None:
    data = tiny.task(n=33)
    noise = {"label_noise": 0.5, "noise_recipe": "flip"}
    h: Any = tiny.hypers(network=network, optimizer="sgd", lr=1e-2, weight_decay=5e-4, lr_schedule="cosine", **noise)
    start, end = run(Member("x", 5, h), data)
    net = classifier(network, start)
    y = noisy(data.train.y, 0.5, generator(5, "label-noise", 0), "flip", 10)
    assert int((y != data.train.y).sum()) == 16
    sgd = torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9, weight_decay=5e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=h.epochs + 1)
    reference.classic(net, data.train.x.double() * data.scale, y, orders(data, 5), masks(data, 5, network), sgd, cosine)
    assert tiny.distance(tiny.network(end), everything(net)) <= 1e-9


@pytest.mark.parametrize("confidence", [0.51, 0.0])
@pytest.mark.parametrize("network", WRITTEN_OUT)
def test_friendly_training(network: str, confidence: float) -> None:
    data = tiny.task(n=33, classes=2)
    h: Any = tiny.hypers("ft", network=network, iterations_simp=4, step_simp=50.0, conf_thres=confidence, ratio_simp=0.6)
    start, end = run(Member("x", 5, h), data)
    net = classifier(network, start, classes=2)
    settings: dict[str, Any] = {"total_epochs": 4, "ratio": 0.6, "tau": 4, "beta": 50.0, "lr": h.lr, "weight_decay": h.weight_decay}
    x = data.train.x.double() * data.scale
    batches, drops = orders(data, 5), masks(data, 5, network)
    rested = reference.friendly(net, x, data.train.y, batches, drops, confidence=confidence or None, **settings)
    assert 10 < rested < 66  # both happened: examples came to rest, others moved on; in two epochs all begin to move
    assert tiny.distance(tiny.network(end), everything(net)) <= 1e-9


@pytest.mark.parametrize("network", WRITTEN_OUT)
@pytest.mark.parametrize(("scope", "kept"), [("batch", [3, 4, 5, 7, 7, 8, 8, 9, 8, 8, 8, 9]), ("epoch", [9, 27, 33])])
def test_easy_examples_first(network: str, scope: str, kept: list[int]) -> None:
    data = tiny.task(n=33)
    h: Any = tiny.hypers("eef", network=network, kappa_0=0.3, ratio_simp=0.5, scope=scope)
    start, end = run(Member("x", 5, h), data)
    net = classifier(network, start)
    train = reference.easy_first if scope == "batch" else reference.easy_epochs
    settings: dict[str, Any] = {"total_epochs": 4, "ratio": 0.5, "kappa_0": 0.3, "lr": h.lr, "weight_decay": h.weight_decay}
    x = data.train.x.double() * data.scale
    assert train(net, x, data.train.y, orders(data, 5), masks(data, 5, network), **settings) == kept
    assert tiny.distance(tiny.network(end), everything(net)) <= 1e-9


@pytest.mark.parametrize(("network", "nu"), [("fc-a", 1), ("fc-b", 2), ("cnn-a", 1), ("cnn-b", 2)])
@pytest.mark.parametrize("mode", ["paper", "code"])
def test_neural_friendly_training(mode: str, network: str, nu: int) -> None:
    data = tiny.task(n=33)
    fields: dict[str, Any] = {"mode": mode, "network": network, "nu": nu, "n_f": 3, "label_conditioning": nu == 2, "epochs": 4}
    h: Any = tiny.hypers("nft", eta_max=50.0, ratio_simp=0.6 if mode == "code" else 0.75, lr_simp=1e-3, wd_simp=1e-3, **fields)
    start, end = run(Member("x", 5, h), data)
    net = classifier(network, start)
    aux = loaded(reference_nets.UNet(1, 10 if h.label_conditioning else 0, 3, nu, mode == "code"), start, "simplifier")
    settings: dict[str, Any] = {"total_epochs": 4, "ratio": h.ratio_simp, "eta_max": 50.0, "lr": h.lr, "lr_simp": h.lr_simp}
    settings |= {"weight_decay": h.weight_decay, "wd_simp": h.wd_simp, "learn": (orders(data, 5), masks(data, 5, network))}
    x = data.train.x.double() * data.scale
    second = orders(data, 5, "simplifier-1 ")
    if mode == "paper":
        reference.paper(net, aux, x, data.train.y, simplify=second, **settings)
    else:
        reference.code(net, aux, x, data.train.y, simplify=(second, masks(data, 5, network, "simplifier-1 ")), **settings)
    assert tiny.distance(tiny.network(end), everything(net)) <= 1e-9
    assert tiny.distance(tiny.network(end, "simplifier"), everything(aux)) <= 1e-9
    assert tiny.distance(tiny.network(end, "simplifier"), tiny.network(start, "simplifier")) > 1e-4


def test_evaluation_is_that_of_a_module_in_eval_mode() -> None:
    data = tiny.task(n=33)
    pack = tiny.trained(data, tiny.members(3, network="fc-b", test_curve=True), epochs=2)
    result = pack.train_epoch()[1]
    net = reference_nets.fc_b(144, 10, FCB.widths).double()
    end = pack.checkpoint("lane-1")
    loaded(net, end, "classifier")
    for buffer, value in zip(
        [b for name, b in net.named_buffers() if "num_batches" not in name],
        [t for key, t in end.tensors.items() if key.startswith("classifier/buffers/")],
        strict=True,
    ):
        buffer.copy_(value)
    net.eval()
    for split, name in ((data.valid, "val"), (data.test, "test")):
        logits = net(split.x.double() * data.scale).detach()
        loss = nn.functional.cross_entropy(logits, split.y).item()
        error = 100 * (logits.argmax(1) != split.y).double().mean().item()
        assert result.values[f"{name}/loss"] == pytest.approx(loss, rel=1e-12)
        assert result.values[f"{name}/error"] == pytest.approx(error)
