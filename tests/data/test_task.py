"""Parts of a task."""

from __future__ import annotations

import pytest
import torch

from nftlab.data import load
from nftlab.data.task import Split, digest
from nftlab.errors import UsageError
from tests.data.test_sparse import DENSE, sparse


def test_a_part_is_the_first_rows() -> None:
    task = load("digits")
    part = task.part(0.05)
    assert (len(part.train), len(part.valid), len(part.test)) == (60, 15, 15)
    assert torch.equal(part.train.x, task.train.x[:60])
    assert torch.equal(part.test.y, task.test.y[:15])
    assert part.source == "embedded, 5 % of its rows"
    assert part.sha256 == digest(part.train, part.valid, part.test) != task.sha256


def test_a_part_has_at_least_one_row_and_the_whole_is_the_task() -> None:
    task = load("digits")
    assert len(task.part(1e-6).train) == 1
    assert task.part(1) is task


def test_rows_ordered_by_class_are_taken_evenly() -> None:
    labels = torch.arange(2).repeat_interleave(50)
    part = Split(torch.arange(100)[:, None], labels).part(0.2)
    assert part.x[:, 0].tolist() == list(range(0, 100, 5))
    assert part.y.bincount().tolist() == [10, 10]


@pytest.mark.parametrize(("labels", "rows"), [([0, 1, 0, 1, 0], [0, 1]), ([0, 0, 0, 1, 1], [0, 2])])
def test_sparse_rows_are_parted_alike(labels: list[int], rows: list[int]) -> None:
    part = Split(sparse(), torch.tensor(labels)).part(0.4)
    assert torch.equal(part.x[0:2], DENSE[rows])
    assert part.y.tolist() == [labels[row] for row in rows]


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_another_share_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        load("digits").part(share)
