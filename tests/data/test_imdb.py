"""IMDB in all its forms: the same rows in the same order."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nftlab.data import DATASETS
from nftlab.data.imdb import FOLDER, LINES, Imdb
from nftlab.data.sparse import SparseRows
from nftlab.errors import DataError
from tests.data.formats import reviews, unpacked, write_imdb
from tests.data.test_tfidf import by_the_book


def in_order() -> tuple[list[str], list[int]]:
    """The small reviews in the order that docs/data.md gives them, negative first, by file name, with their labels; training, then test."""
    texts: list[str] = []
    labels: list[int] = []
    for part in (0, 1):
        for good in (False, True):
            rows = sorted(
                (f"{number}_{rating}.txt", text) for test, rating, number, text in reviews() if (test, rating > 5) == (part, good)
            )
            texts += [text for _, text in rows]
            labels += [int(good)] * len(rows)
    return texts, labels


@pytest.mark.parametrize("form", ["lines", "folders", "archive"])
def test_every_form_gives_the_same_task(form: str, tmp_path: Path) -> None:
    reference = write_imdb(tmp_path / "reference").load(tmp_path / "reference")
    data = write_imdb(tmp_path / form, form)
    task = data.load(tmp_path / form)
    assert task.sha256 == reference.sha256
    assert task.source == ("JSON lines" if form == "lines" else "official")
    assert data.verify(tmp_path / form)
    assert data.get(tmp_path / form) == []


def test_a_folder_beside_the_data_sets_own_is_found(tmp_path: Path) -> None:
    data = write_imdb(tmp_path, "folders")
    (tmp_path / "imdb" / FOLDER).rename(tmp_path / FOLDER)
    assert data.load(tmp_path).source == "official"


def test_rows_values_and_validation_are_as_described(tmp_path: Path) -> None:
    task = write_imdb(tmp_path).load(tmp_path)
    texts, labels = in_order()
    favourable_first = [*range(10, 20), *range(10), *range(20, 40)]  # the order in which words are first seen
    table = np.empty((40, 20_002))
    table[favourable_first] = by_the_book([texts[row] for row in favourable_first], 20, 20_000)
    train, valid = [*range(8), *range(10, 18)], [8, 9, 18, 19]
    for split, rows in ((task.train, train), (task.valid, valid), (task.test, list(range(20, 40)))):
        assert isinstance(split.x, SparseRows)
        assert np.allclose(split.x[:].numpy(), table[rows], rtol=1e-6)
        assert split.y.tolist() == [labels[row] for row in rows]


def test_a_small_part_is_balanced(tmp_path: Path) -> None:
    part = write_imdb(tmp_path).load(tmp_path).part(0.5)
    assert part.train.y.bincount().tolist() == [4, 4]
    assert part.test.y.bincount().tolist() == [5, 5]


def test_fewer_reviews_are_read_and_say_so(tmp_path: Path) -> None:
    write_imdb(tmp_path)
    task = DATASETS["imdb"].load(tmp_path)
    assert task.source == "a part: 40 reviews"
    assert DATASETS["imdb"].verify(tmp_path)


def test_parsed_once_and_again_when_the_file_changes(tmp_path: Path) -> None:
    data = write_imdb(tmp_path)
    seen: list[str] = []
    data.load(tmp_path, lambda what, done, total: seen.append(what))
    data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert seen == ["counting words"]
    path = tmp_path / "imdb" / LINES
    path.write_text(path.read_text().replace("Great", "Superb"))
    data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert len(seen) == 2
    assert len(list((tmp_path / "imdb").glob("parsed-*"))) == 1


@pytest.mark.parametrize("file", ["starts.npy", "columns.npy", "values.npy", "y.npy", "meta.json"])
@pytest.mark.parametrize("kept", [0, 150])
def test_a_cache_cut_short_is_refused_and_mended_by_get(file: str, kept: int, tmp_path: Path) -> None:
    data = write_imdb(tmp_path)
    data.load(tmp_path)
    (path,) = (tmp_path / "imdb").glob(f"parsed-*/{file}")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"parsed-\w+ is damaged.*nftlab data get imdb"):
        data.load(tmp_path)
    data.get(tmp_path)
    assert data.verify(tmp_path)


def test_a_flipped_value_is_found_by_verify(tmp_path: Path) -> None:
    data = write_imdb(tmp_path)
    data.load(tmp_path)
    (path,) = (tmp_path / "imdb").glob("parsed-*/values.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"sha256 is .* when it was written; run `nftlab data get imdb`"):
        data.verify(tmp_path)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is damaged"),
        ("[1, 2, 3]", "is damaged"),
        ("[0, 1, 2, 3]", "is damaged .no review"),
        ('[0, 1, 2, "x"]', "has not all"),
        ('[7, 1, 2, "x"]', "is damaged .no review"),
        ("[0, 1, 2, null]", "is damaged .no review"),
    ],
)
def test_what_are_no_reviews_is_named(line: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "imdb").mkdir()
    (tmp_path / "imdb" / LINES).write_text(line + "\n")
    with pytest.raises(DataError, match=f"{LINES} ({what}).*nftlab data get imdb"):
        Imdb().load(tmp_path)


def test_a_damaged_archive_is_refused_by_checksum(tmp_path: Path) -> None:
    data = write_imdb(tmp_path, "archive")
    path = tmp_path / "imdb" / Imdb.archive
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"aclImdb_v1.tar.gz is damaged: its md5 is .*nftlab data get imdb"):
        data.load(tmp_path)


@pytest.mark.ci
def test_the_real_reviews_are_the_published_ones(tmp_path: Path) -> None:
    if not unpacked("imdb", tmp_path):
        pytest.skip("no real IMDB here")
    data = DATASETS["imdb"]
    task = data.load(tmp_path)
    assert data.verify(tmp_path)
    assert task.train.y.bincount().tolist() == [10_000, 10_000]
    assert task.valid.y.bincount().tolist() == [2500, 2500]
    lines = [json.loads(line) for line in (tmp_path / "imdb" / LINES).read_text().split("\n")[:-1]]
    files = {(test, rating > 5, f"{number}_{rating}.txt"): re.findall(r"\w+", text.lower()) for test, rating, number, text in lines}
    fitted = [files[name] for good in (True, False) for name in sorted(files) if name[:2] == (0, good)]
    words = [word for word, _ in Counter(word for text in fitted for word in text).most_common(20_000)]
    documents = Counter(word for text in fitted for word in set(text))
    for row, name in enumerate(sorted(files)[:3]):  # the first of the negative training reviews
        values = task.train.x[row : row + 1][0]
        known = set(files[name]) & set(words)
        for word in known:
            expected = (1 + math.log(files[name].count(word))) * math.log(25_000 / documents[word])
            assert values[words.index(word)].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        unknown = sum(word not in known for word in files[name])
        assert values[20_000].item() == pytest.approx((1 + math.log(unknown)) * 0.05 if unknown else 0)
        assert (values != 0).sum() == len(known) + (unknown > 0)
