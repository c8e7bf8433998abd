"""Training on a GPU: the same numbers as on a CPU, in every way, without waiting for the host, within its memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch

from nftlab.methods import METHODS
from nftlab.train import Checkpoint, Member, Pack, measure
from nftlab.train.feed import Feed
from nftlab.train.graph import WORTH
from nftlab.train.loop import Group
from nftlab.train.networks import NETWORKS
from nftlab.train.pack import GRAPH, ways
from nftlab.train.program import build
from tests.gpu import refused_to_wait
from tests.train import tiny

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for `deterministic`: read once, at a process's first product

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("narrow")]
CUDA = torch.device("cuda:0")
WAYS = ways(torch.device("cuda"))
BATCHES = WORTH + 12
# Examples are left out or moved for so long that steps of the same `how` are worth recording (WORTH).
LONG: dict[str, dict[str, Any]] = {"eef": {"ratio_simp": 0.9}, "ft": {"ratio_simp": 0.9}}
METHOD_VARIANTS = [(name, variant | LONG.get(name, {})) for name in METHODS for variant in tiny.VARIANTS.get(name, [{}])]
EVERY_METHOD = pytest.mark.parametrize("which", range(len(METHOD_VARIANTS)), ids=[tiny.label(*each) for each in METHOD_VARIANTS])


@cache
def usual(which: int, network: str) -> list[Checkpoint]:
    """What a CPU makes of three lanes in two epochs: of NFT's the second is simplified in both modes."""
    algorithm, variant = METHOD_VARIANTS[which]
    lanes = tiny.members(3, algorithm, network=network, **variant)
    here = tiny.trained(tiny.task(tiny.image(network), n=8 * BATCHES), lanes, epochs=2)
    return [here.checkpoint(lane.key) for lane in lanes]


def pack(data: Any, lanes: list[Member], way: str = "mapped", epochs: int = 3, **options: Any) -> Pack:
    trained = Pack(data, lanes, device=CUDA, way=way, **options)
    for _ in range(epochs):
        trained.train_epoch()
    return trained


@pytest.fixture
def limited() -> Iterator[None]:
    """A GPU with little memory: what this process may take."""
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(CUDA) + 2**30) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize("network", tiny.NETS)
@EVERY_METHOD
def test_steps_are_recorded_and_wait_for_nothing(which: int, network: str) -> None:
    algorithm, variant = METHOD_VARIANTS[which]
    data = tiny.task(tiny.image(network), n=8 * BATCHES)
    recorded = pack(data, tiny.members(2, algorithm, network=network, **variant), "mapped" + GRAPH, epochs=2)
    assert recorded._tapes
    assert [tape.refused for tape in recorded._tapes] == [{}] * len(recorded._tapes)
    assert all(tape._last for tape in recorded._tapes)
    program = build(data.to(CUDA), recorded._program.hypers)
    lanes = list(recorded._lanes.values())
    plans = [program.method.plan(lane.member.hypers, 2, len(program.edges)) for lane in lanes]
    steps = Group(program, lanes, plans).train()
    next(steps)
    with refused_to_wait():
        for _ in range(3):
            next(steps)


@pytest.mark.parametrize("way", ["mapped-graph", "apart-graph"])
def test_batches_made_ahead_by_a_recording_are_those_of_a_cpu(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftlab.train.window.STEPS", 2)  # enough windows in an epoch to be recorded
    data, lanes = tiny.task(n=8 * BATCHES), tiny.members(3, "nft", network="cnn-a", n_f=2)
    there = pack(data, lanes, way, epochs=3)
    assert any("fill" in known for tape in there._tapes for known in tape._graphs.values())
    here = tiny.trained(data, lanes, epochs=3)
    for lane in lanes:
        mine, expected = there.checkpoint(lane.key), here.checkpoint(lane.key)
        assert all(tiny.distance(tiny.network(mine, name), tiny.network(expected, name)) <= 1e-6 for name in tiny.names(expected))


@pytest.mark.parametrize("way", ["mapped", "mapped-graph", "apart-graph"])
def test_resumed_equals_uninterrupted_to_the_bit(way: str) -> None:
    data, lanes = tiny.task(n=8 * BATCHES), tiny.members(3, "nft", network="cnn-a", n_f=2, precision="fp32")
    through = pack(data, lanes, way, epochs=4, deterministic=True)
    stopped, resumed = pack(data, lanes, way, epochs=2, deterministic=True), pack(data, lanes, way, epochs=0, deterministic=True)
    for lane in lanes:
        resumed.restore(lane.key, stopped.checkpoint(lane.key))
    for _ in range(2):
        resumed.train_epoch()
    assert all(tiny.same(resumed.checkpoint(lane.key), through.checkpoint(lane.key)) for lane in lanes)


def test_random_numbers_are_those_of_a_cpu() -> None:
    data = tiny.task((1, 28, 28), n=40)
    sites = NETWORKS["cnn-a"](data.shape, 10).dropout  # type: ignore[arg-type]
    here = Feed(data.train, [1, 2], [3, 4], "s ", sites).batch(torch.arange(8, 16), 1 / 255, torch.float32)
    there = Feed(data.train.to(CUDA), [1, 2], [3, 4], "s ", sites).batch(torch.arange(8, 16, device=CUDA), 1 / 255, torch.float32)
    for mine, usual in zip((*there[:2], *there[2]), (*here[:2], *here[2]), strict=True):
        assert torch.equal(mine.cpu(), usual)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("network", [name for name in tiny.NETS if name not in tiny.DEEP])
def test_other_precisions_are_close(network: str, precision: str) -> None:
    def gradient(of: str, lanes: int) -> torch.Tensor:
        members = tiny.members(lanes, network=network, precision=of, batch_size=40)
        return pack(tiny.task(tiny.image(network), n=40), members, epochs=1).checkpoint("lane-0").tensors["classifier/adam/m"]

    exact = gradient("fp32", 1)
    assert all(tiny.distance(gradient(precision, lanes), exact) <= 0.5 for lanes in (1, 3))


def test_every_way_is_measured() -> None:
    speeds = measure.measure(tiny.task(n=320), tiny.hypers("nft", network="cnn-a", n_f=4), device=CUDA, sizes=[1, 2], work=1e9)
    assert {speed.way for speed in speeds if speed.lanes == 1} == {"apart-graph"}
    assert {speed.way for speed in speeds if speed.lanes == 2} == {"mapped-graph", "apart-graph"}
    assert all(speed.memory > 0 for speed in speeds)


@pytest.mark.usefixtures("limited")
def test_memory_ends_a_measurement_and_harms_no_lane() -> None:
    # a step of one lane keeps 44 MiB of activations, in each way anew; of 64 lanes 2.8 GiB
    data, h = tiny.task((1, 28, 28), n=512), tiny.hypers("nft", n_f=16, precision="fp32", batch_size=64)
    speeds = measure.measure(data, h, device=CUDA, sizes=[1, 64], work=1e9)
    assert {speed.lanes for speed in speeds} == {1}
    lanes = [Member(f"lane-{i}", i, h) for i in range(64)]
    crowded = Pack(data, lanes, device=CUDA)
    before = crowded.checkpoint("lane-5")
    with pytest.raises(torch.OutOfMemoryError):
        crowded.train_epoch()
    assert tiny.same(crowded.checkpoint("lane-5"), before)
    for lane in lanes[1:]:
        crowded.remove(lane.key)
    assert crowded.train_epoch()[0].epoch == 1


# Last: it takes longest, and a time limit may cut it off (benchmarks/gpu.sh).
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", tiny.NETS)
@EVERY_METHOD
def test_every_way_gives_the_numbers_of_a_cpu(which: int, network: str, way: str) -> None:
    algorithm, variant = METHOD_VARIANTS[which]
    lanes = tiny.members(3, algorithm, network=network, **variant)
    there = pack(tiny.task(tiny.image(network), n=8 * BATCHES), lanes, way, epochs=2)
    for lane, expected in zip(lanes, usual(which, network), strict=True):
        mine = there.checkpoint(lane.key)
        for name in tiny.names(expected):
            assert tiny.distance(tiny.network(mine, name), tiny.network(expected, name)) <= 1e-6  # other kernels, the same arithmetic
