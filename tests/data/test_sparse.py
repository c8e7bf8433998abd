"""Sparse rows answer as the dense tensor they stand for."""

from __future__ import annotations

import pytest
import torch

from nftlab.data.sparse import SparseRows
from nftlab.data.task import Split, cut, digest
from tests.gpu import refused_to_wait

DENSE = torch.tensor([[0, 2, 0, 3], [1, 0, 0, 0], [0, 0, 0, 4], [5, 6, 7, 8], [0, 0, 9, 0]], dtype=torch.float32)


def sparse(dense: torch.Tensor = DENSE) -> SparseRows:
    rows, columns = dense.nonzero(as_tuple=True)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), rows.bincount(minlength=len(dense)).cumsum(0)])
    return SparseRows.of(starts, columns.int(), dense[rows, columns], dense.shape[1])


def test_it_looks_like_a_tensor() -> None:
    x = sparse()
    assert (len(x), x.shape, x.dtype, x.device, x.is_cpu) == (len(DENSE), DENSE.shape, DENSE.dtype, DENSE.device, True)


@pytest.mark.parametrize("rows", [slice(0, 2), slice(3, 5), slice(4, 100), slice(None), slice(1, 1)])
def test_slices_are_those_of_the_dense(rows: slice) -> None:
    assert torch.equal(sparse()[rows], DENSE[rows])
    assert sparse()[rows].is_contiguous()


@pytest.mark.parametrize("rows", [[0], [4, 4, 3, 0], [2, 1, 0], []])
def test_selected_rows_are_those_of_the_dense(rows: list[int]) -> None:
    index = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(sparse().index_select(0, index), DENSE.index_select(0, index))
    if rows:
        assert torch.equal(sparse().select(index)[:], DENSE[index])


def test_rows_between_share_memory_and_know_their_own_longest() -> None:
    part = sparse().between(0, 3)
    assert torch.equal(part[:], DENSE[:3])
    assert (sparse().longest, part.longest) == (4, 2)
    x = sparse()
    x.between(2, 4).values[0] = 44
    assert x[2:3][0, 3] == 44


def test_explicit_zeros_do_no_harm() -> None:
    x = SparseRows.of(torch.tensor([0, 1, 3]), torch.tensor([2, 0, 2], dtype=torch.int32), torch.tensor([0.0, 0.0, 5.0]), 3)
    assert torch.equal(x[:], torch.tensor([[0.0, 0, 0], [0, 0, 5]]))


@pytest.mark.parametrize(
    ("starts", "columns", "values"),
    [
        ([0], [], []),
        ([0, 1, 1], [0], [1.0]),
        ([0, 1], [0, 1], [1.0, 1.0]),
        ([1, 2], [0, 1], [1.0, 1.0]),
        ([0, 2], [0, 4], [1.0, 1.0]),
        ([0, 2], [-1, 0], [1.0, 1.0]),
        ([0, 2], [0, 1], [1.0]),
        ([0, 3, 2], [0, 1], [1.0, 1.0]),
    ],
)
def test_tensors_that_are_no_rows_are_refused(starts: list[int], columns: list[int], values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no rows, a row without|columns"):
        SparseRows.of(torch.tensor(starts), torch.tensor(columns, dtype=torch.int32), torch.tensor(values), 4)


def test_random_rows_agree_with_the_dense() -> None:
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(50, 300, generator=generator) * (torch.rand(50, 300, generator=generator) < 0.05)
    dense[:, 0] = 1
    rows = torch.randint(50, (40,), generator=generator)
    assert torch.equal(sparse(dense).index_select(0, rows), dense[rows])


def test_a_split_of_sparse_rows_has_a_digest_of_its_own() -> None:
    labels = torch.tensor([0, 1, 0, 1, 1])
    first = digest(Split(sparse(), labels))
    changed = DENSE.clone()
    changed[3, 1] = 6.5
    assert first == digest(Split(sparse(), labels)) != digest(Split(sparse(changed), labels))
    train, valid, test = cut(sparse(), labels.numpy(), (2, 1, 2))
    assert torch.equal(torch.cat([part.x[0:2] for part in (train, valid, test)]), DENSE)
    assert digest(test) == digest(Split(sparse(DENSE[3:]), labels[3:]))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_and_is_not_waited_for() -> None:
    x, rows = sparse(), torch.tensor([4, 4, 3, 0])
    there, index = x.to("cuda"), rows.to("cuda")
    with refused_to_wait():
        found = there.index_select(0, index)
    assert torch.equal(found.cpu(), DENSE[rows])
    assert torch.equal(there[1:4].cpu(), DENSE[1:4])
