"""Data fine-pruning: which epochs leave examples out, which examples, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nftlab.configuration import check
from nftlab.methods.base import bounds
from nftlab.train import Pack
from nftlab.train.feed import Feed
from nftlab.train.networks import NETWORKS
from nftlab.train.rng import generator
from tests.train import reference, tiny
from tests.train.test_reference import classifier, everything

NOTES = "classifier/notes/dropping"


@pytest.mark.parametrize(
    ("epochs", "window", "start", "block", "count", "attenuate", "pruned"),
    [
        (180, 60, 30, 10, 5, "never", 45),
        (200, 60, 30, 10, 5, "never", 45),
        (180, 60, 25, 10, 5, "never", 45),
        (200, 60, 10, 10, 5, "never", 81),
        (200, 30, 10, 5, 2, "never", 53),
        (200, 60, 30, 10, 5, "every-epoch", 83),
        (200, 60, 30, 10, 5, "once-per-window", 56),
    ],
)
def test_how_many_epochs_leave_examples_out(
    epochs: int, window: int, start: int, block: int, count: int, attenuate: str, pruned: int
) -> None:
    fields = {"epochs": epochs, "window": window, "starting_point": start, "block": block, "count": count, "attenuate": attenuate}
    h: Any = tiny.hypers("fine-pruning", **fields)
    assert sum(h.prunes(epoch) for epoch in range(1, epochs + 1)) == pruned


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"epochs": 29}, "fine-pruning leaves nothing out in 29 epochs"),
        ({"epochs": 30}, None),
        ({"epochs": 29, "prune_share": 0.0}, None),  # classic training, and meant
        ({"epochs": 29, "count": 0}, None),
        ({"epochs": 9, "window": 1}, "fine-pruning leaves nothing out in 9 epochs"),  # counts always begin again
    ],
)
def test_values_with_which_it_would_be_classic_training_unawares_are_refused(fields: dict[str, Any], told: str | None) -> None:
    found = check({"algorithm": "fine-pruning", **fields})
    assert [(name, what.partition(":")[0]) for name, what in found] == ([("epochs", told)] if told else [])


@pytest.mark.parametrize("network", ["fc-a", "cnn-a"])
def test_it_is_the_algorithm_written_out(network: str) -> None:
    data, epochs = tiny.task(n=33), 7
    h: Any = tiny.hypers("fine-pruning", network=network, epochs=epochs, tolerance=-0.05, prune_share=0.4, lr=1e-2, **tiny.PRUNED)
    other = tiny.members(1, "fine-pruning", network=network, epochs=epochs, prune_share=0.4, **tiny.PRUNED)[0]
    pack = Pack(data, [other, lane := tiny.Member("x", 5, h)])
    net = classifier(network, pack.checkpoint("x"))
    mine, shares = [], []
    for _ in range(epochs):
        shares.append(pack.train_epoch()[1].values["fine-pruning/kept"])
        mine.append(pack.checkpoint("x").tensors[NOTES].tolist())
    orders = [torch.randperm(33, generator=generator(5, "order", epoch)) for epoch in range(1, epochs + 1)]

    def masks(epoch: int, examples: int) -> list[tuple[Tensor, ...]]:
        feed = Feed(data.train, [5], [epoch], "", NETWORKS[network](data.shape, 10).dropout)  # type: ignore[arg-type]
        return [feed.batch(torch.arange(*edge), 1.0, torch.float64)[2] for edge in bounds(examples, 8)]

    pruned = [epoch % 3 > 0 for epoch in range(1, epochs + 1)]
    settings: dict[str, Any] = {"window": 3, "share": 0.4, "tolerance": -0.05, "lr": h.lr, "weight_decay": h.weight_decay}
    x = data.train.x.double() * data.scale
    counts = reference.fine_pruning(net, x, data.train.y, orders, lambda n: bounds(n, 8), masks, pruned=pruned, **settings)
    assert mine == [[each[row] for row in range(33)] for each in counts]
    assert shares == [20 / 33 if each else 1.0 for each in pruned]
    assert sum(mine[1]) > sum(mine[0]) > 0
    assert max(mine[2]) == 1, "counted anew"
    assert tiny.distance(tiny.network(pack.checkpoint(lane.key)), everything(net)) <= 1e-9


def test_ties_are_broken_by_the_shuffle_and_not_by_the_order_of_the_set() -> None:
    """Nothing is counted before the first epoch: all are equal, and each seed leaves other examples out."""
    data = tiny.task(n=32)
    fields = {**tiny.PRUNED, "tolerance": -0.999, "prune_share": 0.5}  # every loss counts: the counts tell who was shown
    pack = tiny.trained(data, tiny.members(3, "fine-pruning", **fields), epochs=1)
    shown = [pack.checkpoint(key).tensors[NOTES] for key in pack.live]
    assert all(each.sum() == 16 for each in shown)
    assert not torch.equal(shown[0], shown[1])
    assert all(0 < each[:16].sum() < 16 for each in shown)


def test_two_examples_stay_whatever_the_share() -> None:
    pack = Pack(tiny.task(n=3), tiny.members(1, "fine-pruning", network="cnn-a", **tiny.PRUNED, prune_share=0.99))
    assert pack.train_epoch()[0].values["fine-pruning/kept"] == 2 / 3
