"""Tasks, hyper-parameters and packs small enough to train in a test."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor

from nftlab.configuration import build
from nftlab.data.task import Split, Task
from nftlab.hypers import Hypers
from nftlab.train import Checkpoint, Member, Pack
from nftlab.train.networks import NETWORKS

SGD: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": (0.9, 0.0, 0.5),
    "lr_schedule": ("cosine", "constant", "refine"),
    "augment": "crop-flip",
    "label_noise": (0.3, 0.0, 0.6),
    "noise_recipe": ("permute", "flip", "flip"),
}
# Every method in every mode that the contracts are tested in; methods not named here are tested with their defaults.
# A tuple has the values of three lanes, for what may differ between the lanes of a pack.
PRUNED: dict[str, Any] = {"window": 5, "starting_point": 1, "attenuate": "never", "block": 1, "count": 1}  # in epochs 2, 3, 4, 6, …
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ct": [{}, SGD],
    "eef": [{"scope": "batch", "kappa_0": 0.6}, {"scope": "epoch", "kappa_0": 0.6, "label_noise": (0.0, 0.5, 0.1)}],
    "ft": [{"iterations_simp": 3, "step_simp": (10.0, 100.0, 1.0), "conf_thres": (0.0, 0.98, 0.2)}],
    "nft": [
        {"mode": "code", "n_f": 2, "nu": 2, "label_conditioning": True, "clf_in_simp": "train"},
        {"mode": "paper", "n_f": 2, "nu": 1, "iterations_simp": 2},
    ],
    "fine-pruning": [{**PRUNED, "tolerance": (0.0, -0.3, 0.2)}],
}
LANES: dict[str, dict[str, Any]] = {"nft": {"eta_max": (1000.0, 10.0, 0.0), "ratio_simp": (0.75, 0.5, 0.9), "lr_simp": (1e-4, 1e-3, 5e-4)}}


# Networks that differ from another in their depth alone are left out of the contracts; what is slow and made of the same
# layers as others is trained only where CI runs.
TWINS = ("vgg16", "vgg19", "thin-resnet18", "thin-resnet34", "wrn16", "wrn22")
DEEP = ("vgg13", "thin-resnet50", "wrn10")
LIKE_OTHERS = ("cnn-b", "resnet18", *DEEP)
NETS = [name for name in NETWORKS if name not in TWINS]
_MARKED = {name: pytest.param(name, marks=pytest.mark.ci) if name in LIKE_OTHERS else name for name in NETS}
QUICK_FIRST = pytest.mark.parametrize("network", list(_MARKED.values()))
# In less than double precision many layers of BatchNorm over a few examples make noise of rounding.
SHALLOW_QUICK_FIRST = pytest.mark.parametrize("network", [marked for name, marked in _MARKED.items() if name not in DEEP])


def label(algorithm: str, variant: dict[str, Any]) -> str:
    """A name of a variant in the names of tests."""
    told = [variant[name] for name in ("mode", "scope", "optimizer") if name in variant]
    return "-".join([algorithm, *told])


def image(network: str) -> tuple[int, ...]:
    """The shape of images that are as small as the network goes well with: VGG's last BatchNorm wants more than one place."""
    side = {"lenet": 16, "vgg13": 32}.get(network, 12)
    return 1, side, side


def task(shape: tuple[int, ...] = (1, 12, 12), n: int = 40, classes: int = 10, seed: int = 0) -> Task:
    """`n` training examples of bytes whose brightness tells the class, 24 each to validate and test."""
    source = torch.Generator().manual_seed(seed)

    def split(count: int) -> Split:
        y = torch.randint(0, classes, (count,), generator=source)
        noise = torch.randint(0, 128, (count, *shape), generator=source)
        x = noise + (y * 127 // max(1, classes - 1)).view(-1, *[1] * len(shape))
        return Split(x.to(torch.uint8), y)

    return Task("mnist", shape, classes, split(n), split(24), split(24), 1 / 255, "made for tests", "0" * 64)


def hypers(algorithm: str = "ct", **fields: Any) -> Hypers:
    """Four epochs of small batches in double precision."""
    defaults = {"algorithm": algorithm, "dataset": "mnist", "epochs": 4, "batch_size": 8, "precision": "fp64", "lr": 1e-3}
    return build({**defaults, **fields})


def members(k: int, algorithm: str = "ct", **fields: Any) -> list[Member]:
    """k lanes that differ in seed, in learning rate, and in what the fields or the method say."""
    mixed = {"lr": (1e-3, 1e-4, 3e-3), **LANES.get(algorithm, {}), **fields}
    own = [{name: value[i % 3] if isinstance(value, tuple) else value for name, value in mixed.items()} for i in range(k)]
    return [Member(f"lane-{i}", i, hypers(algorithm, **mine)) for i, mine in enumerate(own)]


def trained(data: Task, lanes: list[Member], epochs: int = 3) -> Pack:
    """A pack of these lanes after some epochs."""
    pack = Pack(data, lanes)
    for _ in range(epochs):
        pack.train_epoch()
    return pack


def network(checkpoint: Checkpoint, name: str = "classifier") -> Tensor:
    """A network's parameters and running statistics as one vector."""
    wanted = (f"{name}/weights/", f"{name}/buffers/")
    parts = [t.flatten() for key, t in checkpoint.tensors.items() if key.startswith(wanted)]
    return torch.cat(parts) if parts else torch.zeros(0)


def names(checkpoint: Checkpoint) -> list[str]:
    """The networks in a checkpoint."""
    return sorted({key.split("/")[0] for key in checkpoint.tensors} - {"best"})


def distance(one: Tensor, other: Tensor) -> float:
    """‖one − other‖ / ‖other‖."""
    return float((one - other).norm() / other.norm())


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Equal to the bit, in every tensor and all meta data."""
    equal = one.tensors.keys() == other.tensors.keys() and all(torch.equal(t, other.tensors[key]) for key, t in one.tensors.items())
    return equal and one.meta == other.meta


def features(data: Task) -> int:
    """Numbers per example."""
    return prod(data.shape)
