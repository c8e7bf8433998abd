"""Images of any size and vectors, dense or sparse, through every network that can take them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from nftlab.data.sparse import SparseRows
from nftlab.data.task import Split, Task
from nftlab.errors import ConfigError
from nftlab.train import Pack
from tests.train import tiny

pytestmark = pytest.mark.usefixtures("narrow")
SIZES = [(1, 28, 28), (3, 32, 32), (2, 13, 11)]
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("ct", {"augment": "crop-flip", "normalize": "channels"}),
    ("fine-pruning", tiny.PRUNED),
    ("eef", {"scope": "epoch"}),
    ("ft", {"iterations_simp": 1}),
    ("nft", {"n_f": 2, "nu": 1}),
    ("nft", {"n_f": 2, "nu": 2, "label_conditioning": True}),
    ("nft", {"simplifier": "fc"}),
]


def finite(pack: Pack) -> None:
    """One epoch is trained and evaluated."""
    for result in pack.train_epoch():
        assert math.isfinite(result.values["train/loss"])
        assert math.isfinite(result.values["val/loss"])


@pytest.mark.parametrize("shape", SIZES)
@tiny.QUICK_FIRST
def test_images(network: str, shape: tuple[int, ...]) -> None:
    data = tiny.task(shape, n=8)
    if network == "lenet" and min(shape[1:]) < 16:
        with pytest.raises(ConfigError, match="needs images of 16×16 at least"):
            Pack(data, tiny.members(1, network=network))
        return
    for algorithm, fields in METHODS:
        finite(Pack(data, tiny.members(2, algorithm, network=network, precision="fp32", **fields)))


def sparse(width: int, n: int = 24) -> tuple[Task, Task]:
    """The same vectors, most numbers 0, as sparse rows and as a dense tensor."""
    source = torch.Generator().manual_seed(0)

    def split() -> tuple[Split, Split]:
        dense = torch.rand(n, width, generator=source) * (torch.rand(n, width, generator=source) < 6 / width)
        dense[:, 0] = 1.0  # no row is without an entry
        y = torch.randint(0, 2, (n,), generator=source)
        where = dense.nonzero()
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), (dense != 0).sum(1).cumsum(0)])
        return Split(SparseRows.of(starts, where[:, 1].int(), dense[dense != 0], width), y), Split(dense, y)

    pairs = [split() for _ in range(3)]
    few, all_ = ([pair[i] for pair in pairs] for i in (0, 1))
    rest: dict[str, Any] = {"scale": 1.0, "source": "made for tests", "sha256": "0" * 64}
    return Task("imdb", (width,), 2, *few, **rest), Task("imdb", (width,), 2, *all_, **rest)


@pytest.mark.parametrize("network", ["fc-a", "fc-b"])
@pytest.mark.parametrize(
    ("algorithm", "fields"),
    [
        ("ct", {"optimizer": "sgd", "label_noise": 0.5, "noise_recipe": "flip"}),
        ("eef", {"scope": "batch"}),
        ("eef", {"scope": "epoch"}),
        ("ft", {"iterations_simp": 2, "step_simp": 10.0}),
        ("nft", {"simplifier": "fc", "label_conditioning": True}),
    ],
)
def test_vectors_sparse_and_dense_are_the_same(network: str, algorithm: str, fields: dict[str, Any]) -> None:
    few, dense = sparse(301)
    lanes = tiny.members(2, algorithm, network=network, precision="fp32", **fields)
    one, other = tiny.trained(few, lanes, epochs=2), tiny.trained(dense, lanes, epochs=2)
    for lane in lanes:
        mine, theirs = one.checkpoint(lane.key), other.checkpoint(lane.key)
        assert all(torch.equal(t, theirs.tensors[name]) for name, t in mine.tensors.items())
