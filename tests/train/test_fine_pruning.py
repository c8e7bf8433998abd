"""Data fine-pruning: which epochs leave examples out, which examples, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nftlab.configuration import check
from nftlab.errors import DataError
from nftlab.hypers import FinePruning
from nftlab.methods.base import bounds
from nftlab.train import Pack
from nftlab.train.feed import Feed
from nftlab.train.measure import kinds
from nftlab.train.networks import NETWORKS
from nftlab.train.program import build
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
        (20, 5, 3, 1, 1, "every-epoch", 17),  # whole epochs are kept: 3, then 1, then 0
        (20, 5, 4, 1, 1, "every-epoch", 15),  # 4 in all of the first window, then 2, then 1, then 0
    ],
)
def test_in_how_many_epochs_its_conditions_hold(
    epochs: int, window: int, start: int, block: int, count: int, attenuate: str, pruned: int
) -> None:
    fields = {"epochs": epochs, "window": window, "starting_point": start, "block": block, "count": count, "attenuate": attenuate}
    h: Any = tiny.hypers("fine-pruning", **fields)
    assert sum(h.due(epoch) for epoch in range(1, epochs + 1)) == pruned


def test_counts_that_begin_again_leave_nobody_out() -> None:
    h: Any = tiny.hypers("fine-pruning", epochs=200)
    assert [epoch for epoch in range(1, 201) if h.due(epoch) and not h.prunes(epoch)] == [120, 180]
    at_once: Any = tiny.hypers("fine-pruning", **{**tiny.PRUNED, "starting_point": 0}, epochs=7)
    assert [epoch for epoch in range(1, 8) if at_once.prunes(epoch)] == [2, 3, 4, 6, 7]


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


@pytest.mark.parametrize(("network", "start"), [("fc-a", 0), ("cnn-a", 1)])
def test_it_is_the_algorithm_written_out(network: str, start: int) -> None:
    data, epochs = tiny.task(n=33), 9
    fields: dict[str, Any] = {**tiny.PRUNED, "starting_point": start, "network": network, "epochs": epochs, "prune_share": 0.35}
    h: Any = tiny.hypers("fine-pruning", tolerance=-0.05, lr=1e-2, **fields)
    pack = Pack(data, [*tiny.members(1, "fine-pruning", **fields), lane := tiny.Member("x", 5, h)])
    net = classifier(network, pack.checkpoint("x"))
    mine, shares = [], []
    for _ in range(epochs):
        shares.append(pack.train_epoch()[1].values["fine-pruning/kept"])
        mine.append(pack.checkpoint("x").tensors[NOTES].tolist())
    orders = [torch.randperm(33, generator=generator(5, "order", epoch)) for epoch in range(1, epochs + 1)]

    def masks(epoch: int, examples: int) -> list[tuple[Tensor, ...]]:
        feed = Feed(data.train, [5], [epoch], "", NETWORKS[network](data.shape, 10).dropout)  # type: ignore[arg-type]
        return [feed.batch(torch.arange(*edge), 1.0, torch.float64)[2] for edge in bounds(examples, 8)]

    pruned = [epoch > 1 and epoch % 5 > 0 for epoch in range(1, epochs + 1)]
    settings: dict[str, Any] = {"window": 5, "share": 0.35, "tolerance": -0.05, "lr": h.lr, "weight_decay": h.weight_decay}
    x = data.train.x.double() * data.scale
    counts = reference.fine_pruning(net, x, data.train.y, orders, lambda n: bounds(n, 8), masks, pruned=pruned, **settings)
    assert mine == [[each[row] for row in range(33)] for each in counts]
    assert shares == [21 / 33 if each else 1.0 for each in pruned]
    assert sum(mine[3]) > sum(mine[0]) > 0
    assert max(mine[4]) == 1, "counted anew"
    assert tiny.distance(tiny.network(pack.checkpoint(lane.key)), everything(net)) <= 1e-9


def test_ties_are_broken_by_the_shuffle_and_not_by_the_order_of_the_set() -> None:
    """Everybody is counted once in the first epoch: all are equal then, and each seed leaves other examples out of the second."""
    data = tiny.task(n=32)
    fields = {**tiny.PRUNED, "tolerance": -0.999, "prune_share": 0.5}  # every loss counts: the counts tell who was shown
    pack = tiny.trained(data, tiny.members(3, "fine-pruning", **fields), epochs=2)
    shown = [pack.checkpoint(key).tensors[NOTES] - 1 for key in pack.live]
    assert all(each.sum() == 16 for each in shown)
    assert not torch.equal(shown[0], shown[1])
    assert all(0 < each[:16].sum() < 16 for each in shown)


def test_a_loss_that_is_the_mean_is_not_above_it() -> None:
    pack = tiny.trained(tiny.task(n=9), tiny.members(2, "fine-pruning", batch_size=1, **tiny.PRUNED), epochs=1)
    assert pack.checkpoint("lane-1").tensors[NOTES].sum() == 1, "one of the last two, which share a batch"


def test_two_examples_stay_whatever_the_share() -> None:
    pack = tiny.trained(tiny.task(n=3), tiny.members(1, "fine-pruning", network="cnn-a", **tiny.PRUNED, prune_share=0.99), epochs=1)
    assert pack.train_epoch()[0].values["fine-pruning/kept"] == 2 / 3


def test_counts_are_part_of_a_checkpoint() -> None:
    data, lanes = tiny.task(n=40), tiny.members(2, "fine-pruning", epochs=9, **tiny.PRUNED)
    pack = tiny.trained(data, lanes, epochs=3)
    again = Pack(data, lanes)
    for lane in lanes:
        again.restore(lane.key, pack.checkpoint(lane.key))
        assert pack.checkpoint(lane.key).tensors[NOTES].max() > 1
    pack.train_epoch(), again.train_epoch()
    assert all(tiny.same(pack.checkpoint(lane.key), again.checkpoint(lane.key)) for lane in lanes)
    broken = pack.checkpoint("lane-0")
    broken.tensors[NOTES] = broken.tensors[NOTES][:-1].clone()
    with pytest.raises(DataError, match="does not fit"):
        again.restore("lane-0", broken)


def test_a_pack_whose_first_epoch_leaves_much_out_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the kind is timed over all examples, longer than a pass over few."""
    monkeypatch.setattr(FinePruning, "prunes", lambda h, epoch: epoch % 2 == 1)
    ((plan, steps),) = kinds(build(tiny.task(n=400), tiny.hypers("fine-pruning", prune_share=0.9)))
    (each,) = plan.passes
    assert [len(each.how), *(len(values) for values in each.numbers.values())] == [50, 50, 50]
    assert each.kept is None
    assert steps == (5 + 50 + 5 + 50) / 4
