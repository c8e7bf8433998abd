"""A step is recorded and replayed on a GPU: whatever it computes, it asks the host for nothing and tells it nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nftlab.methods import METHODS
from nftlab.train.lane import fresh
from nftlab.train.loop import Group
from nftlab.train.program import build
from tests.train import tiny

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "lift_fresh", "bincount")
# torch's one-hot code looks at the labels, on a CPU only
VARIANTS = [
    (name, {k: v for k, v in variant.items() if k != "label_conditioning"}) for name in METHODS for variant in tiny.VARIANTS.get(name, [{}])
]


class Asked(TorchDispatchMode):
    """Notes operations whose result the host, or a tensor's size, would wait for, and tensors made of Python numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = func is torch.ops.aten.index.Tensor and any(i is not None and i.dtype == torch.bool for i in args[1])
        if by_mask or any(name in str(func) for name in WAITS):
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


def test_it_notices() -> None:
    with Asked() as asked:
        torch.ones(3)[torch.tensor([True, False, True])].sum().item()
    assert asked.seen == ["aten::lift_fresh", "aten::index.Tensor", "aten::_local_scalar_dense"]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("network", ["fc-b", "cnn-a"])
@pytest.mark.parametrize(("algorithm", "variant"), VARIANTS, ids=[tiny.label(*each) for each in VARIANTS])
def test_a_step_asks_for_nothing(algorithm: str, variant: dict[str, Any], network: str, lanes: int) -> None:
    members = tiny.members(lanes, algorithm, network=network, **variant)
    program = build(tiny.task(n=24), members[0].hypers)
    plans = [program.method.plan(member.hypers, 2, len(program.edges)) for member in members]
    steps = Group(program, [fresh(program, member) for member in members], plans).train()
    next(steps)  # begins the pass, which may wait
    with Asked() as asked:
        next(steps)
    assert asked.seen == []
