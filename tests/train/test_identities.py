"""Every method with nothing left of it is classic training, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.train import tiny

pytestmark = pytest.mark.usefixtures("narrow")
EMPTY: list[tuple[str, dict[str, Any]]] = [
    ("nft", {"mode": "code", "ratio_simp": 0.0, "n_f": 2}),
    ("nft", {"mode": "paper", "ratio_simp": 0.0, "n_f": 2}),
    ("ft", {"iterations_simp": 0}),
    ("ft", {"ratio_simp": 0.0}),
    ("eef", {"kappa_0": 1, "scope": "batch"}),
    ("eef", {"kappa_0": 1, "scope": "epoch"}),
    ("fine-pruning", {**tiny.PRUNED, "prune_share": 0.0}),
    ("fine-pruning", {**tiny.PRUNED, "count": 0}),
]


@pytest.mark.parametrize("network", ["fc-b", "cnn-a"])
@pytest.mark.parametrize("fields", [{}, tiny.SGD], ids=["adam", "sgd"])
def test_weights_errors_and_selection_are_those_of_classic_training(network: str, fields: dict[str, Any]) -> None:
    data, shared = tiny.task(n=24), {"network": network, "precision": "fp32", **fields}
    classic = tiny.members(3, **shared)
    expected = tiny.trained(data, classic, epochs=4)
    for algorithm, nothing in EMPTY:
        pack = tiny.trained(data, tiny.members(3, algorithm, **shared, **nothing), epochs=4)
        for lane in classic:
            mine, theirs = pack.checkpoint(lane.key), expected.checkpoint(lane.key)
            names = [name for name in theirs.tensors if name.startswith("classifier/")]
            assert all(torch.equal(mine.tensors[name], theirs.tensors[name]) for name in names)
            assert pack.summary(lane.key) == expected.summary(lane.key)


@pytest.mark.parametrize(
    ("algorithm", "fields"),
    [
        ("ft", {"iterations_simp": 2, "step_simp": 10.0, "conf_thres": 0.98}),
        ("eef", {"scope": "batch"}),
        ("eef", {"scope": "epoch"}),
        ("fine-pruning", tiny.PRUNED),
    ],
)
def test_a_method_with_something_left_is_not(algorithm: str, fields: dict[str, Any]) -> None:
    data = tiny.task(n=24)
    classic = tiny.trained(data, tiny.members(1), epochs=2).checkpoint("lane-0")
    other = tiny.trained(data, tiny.members(1, algorithm, **fields), epochs=2).checkpoint("lane-0")
    assert tiny.distance(tiny.network(other), tiny.network(classic)) > 1e-4
