"""Wine reviews from a file in the published format: words, vectors, and what to do without the file or an encoder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab.data import DATASETS
from nftlab.data.stratify import stratified
from nftlab.data.wines import FILE, PAGE, Wines, WinesTfidf, reviews, split
from nftlab.errors import DataError
from tests.data.formats import letters, unpacked, write_wines
from tests.data.test_tfidf import by_the_book


def table(root: Path) -> tuple[list[str], list[int]]:
    """Descriptions and labels by the columns' places, not their names."""
    with open(root / "wines" / FILE, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[2] for row in rows], [int(int(row[4]) >= 90) for row in rows]


def test_rows_are_split_as_described(tmp_path: Path) -> None:
    write_wines(tmp_path)
    texts, labels = table(tmp_path)
    task = WinesTfidf().load(tmp_path)
    assert (len(task.train), len(task.valid), len(task.test)) == (70, 30, 30)  # 130 rows: a thousandth of the published
    train, valid = stratified(np.array(labels[:100]), 30)
    assert task.train.y.tolist() == [labels[row] for row in train]
    assert task.valid.y.tolist() == [labels[row] for row in valid]
    assert task.test.y.tolist() == labels[100:]
    expected = by_the_book(texts, 100, 20_000)
    for part, rows in ((task.train, train), (task.valid, valid), (task.test, np.arange(100, 130))):
        assert np.allclose(part.x[0 : len(part)].numpy(), expected[rows], rtol=1e-6)


def test_the_whole_file_splits_as_published() -> None:
    labels = (np.arange(129_971) % 3 == 0).astype(np.int64)
    assert tuple(map(len, split(labels))) == WinesTfidf.counts == (70_000, 30_000, 29_971)


def test_a_part_says_so(tmp_path: Path) -> None:
    write_wines(tmp_path)
    assert WinesTfidf().load(tmp_path).source == "a part: 130 of 129,971 reviews"
    assert WinesTfidf().verify(tmp_path)


@pytest.mark.parametrize("data", [Wines(), WinesTfidf()])
def test_without_the_file_it_says_where_it_is_to_be_had(data: WinesTfidf, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        data.get(tmp_path)
    assert all(part in str(caught.value) for part in (FILE, PAGE, f"put it under {tmp_path}/wines"))
    with pytest.raises(DataError, match=f"wines cannot be made without {FILE}.*{PAGE}"):
        Wines().make(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "has 0 reviews"),
        ("a,b\n1,2\n", "KeyError: 'description'"),
        ("description,points\nx,many\n", "ValueError"),
        ("description,points\nx\n", "TypeError"),
        ("description,points\nx,91\ny,92\n", "2 reviews, not of both classes"),
    ],
)
def test_another_file_is_named(content: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "wines").mkdir()
    (tmp_path / "wines" / FILE).write_text(content)
    with pytest.raises(DataError, match=f"{FILE}.*{what}.*; download it anew from {PAGE}"):
        WinesTfidf().load(tmp_path)


def test_vectors_are_those_of_the_encoder_and_kept(tmp_path: Path) -> None:
    write_wines(tmp_path)
    calls: list[int] = []

    def counted(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return letters(texts)

    seen: list[tuple[str, int, int]] = []
    Wines("letters", counted).make(tmp_path, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("encoding wines", 130, 130)
    encoded = len(calls)
    data = DATASETS["wines"]
    task = data.load(tmp_path)
    assert len(calls) == encoded
    assert (task.shape, data.status(tmp_path)) == ((8,), "made")
    assert task.source == "a part: 130 of 129,971 reviews, encoded by letters"
    assert data.verify(tmp_path)
    assert data.get(tmp_path) == []
    parts = split(reviews(tmp_path / "wines" / FILE)[1])
    texts, _ = table(tmp_path)
    for found, rows in zip((task.train, task.valid, task.test), parts, strict=True):
        assert torch.equal(found.x, torch.from_numpy(letters([texts[row] for row in rows])))
    (tmp_path / "wines" / FILE).unlink()
    assert data.load(tmp_path).sha256 == task.sha256  # vectors outlive the file


def test_another_encoder_replaces_the_vectors(tmp_path: Path) -> None:
    write_wines(tmp_path)
    Wines("letters", letters).make(tmp_path)
    Wines("three", lambda texts: letters(texts)[:, :3]).make(tmp_path)
    task = DATASETS["wines"].load(tmp_path)
    assert (task.shape, task.source) == ((3,), "a part: 130 of 129,971 reviews, encoded by three")
    assert len(list((tmp_path / "wines").glob("made-*"))) == 1


def test_vectors_of_another_file_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    write_wines(tmp_path)
    Wines("letters", letters).make(tmp_path)
    write_wines(tmp_path, 120)
    with pytest.raises(DataError, match="is not the file that was encoded; run `nftlab data make wines`"):
        DATASETS["wines"].load(tmp_path)


def test_a_file_that_is_not_encoded_yet_says_what_is_next(tmp_path: Path) -> None:
    write_wines(tmp_path)
    with pytest.raises(DataError, match="is here, but not encoded; run `nftlab data make wines`"):
        DATASETS["wines"].get(tmp_path)


@pytest.mark.ci
def test_the_real_rows_are_read(tmp_path: Path) -> None:
    if not unpacked("wines", tmp_path):
        pytest.skip("no real wine reviews here")
    task = DATASETS["wines-tfidf"].load(tmp_path)
    assert task.source == "a part: 5,811 of 129,971 reviews"
    assert sum(int(part.y.sum()) for part in (task.train, task.valid, task.test)) == 2032
