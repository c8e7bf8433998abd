"""Where data are looked for and written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from nftlab.data import DATASETS, cache, places
from nftlab.errors import DataError, DiskError
from tests.data.formats import write_small
from tests.data.test_sparse import sparse


def test_the_named_root_comes_before_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.default_root() == tmp_path / "named"
    monkeypatch.delenv("NFTLAB_DATA")
    assert places.default_root() == tmp_path / "user-cache" / "nftlab" / "data"
    assert places.folders("mnist") == [tmp_path / "user-cache" / "nftlab" / "data" / "mnist"]


def test_files_in_the_users_cache_are_found_whatever_the_root(tmp_path: Path) -> None:
    data = write_small(places.user_root())
    assert data.where() == places.user_root() / "mnist"
    assert data.load().sha256 == data.load(tmp_path / "another").sha256


@pytest.mark.parametrize("name", DATASETS)
def test_a_root_that_cannot_be_looked_into_holds_nothing(name: str, tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)  # longer than names may be: refused to root too, which permissions are not
    assert DATASETS[name].status(root) in ("missing", "embedded")
    assert DATASETS[name].where(root) is None


def test_a_home_of_nobody_is_a_folder_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_DATA", "~no-such-user/data")
    assert places.default_root() == Path("~no-such-user/data")


def rows(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.zeros((count, 2), np.float32), np.zeros(count))]


def write(folder: Path, count: int = 6, *, replace: bool = False, source: str = "here") -> None:
    cache.write(folder, rows(count), counts=(3, 2, 1), shape=(2,), dtype=np.float32, scale=1.0, source=source, replace=replace)


def test_a_folder_that_another_process_wrote_meanwhile_is_kept_unless_replaced(tmp_path: Path) -> None:
    write(tmp_path / "it", source="first")
    write(tmp_path / "it", source="second")
    assert cache.read(tmp_path / "it", "")[1].source == "first"
    write(tmp_path / "it", source="third", replace=True)
    assert cache.read(tmp_path / "it", "")[1].source == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_a_wrong_number_of_rows_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 rows, 6 expected"):
        write(tmp_path / "it", 5)
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"too few rows, 5 \+ 0 \+ 1 to train, validate and test on"):
        cache.write(tmp_path / "it", rows(6), counts=(5, 0, 1), shape=(2,), dtype=np.float32, scale=1.0, source="here")
    with pytest.raises(DataError, match=r"too few rows, 0 \+ 4 \+ 1 to train"):
        cache.write_sparse(tmp_path / "it", sparse(), np.zeros(5), counts=(0, 4, 1), source="here")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_is_overtaken_while_it_replaces_keeps_the_others_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "it", source="first")
    rename = os.rename

    def overtaken(old: Path, new: Path) -> None:
        rename(old, new)
        if old.name == "it":  # it has been put out of the way
            write(tmp_path / "it", source="quicker")

    monkeypatch.setattr(os, "rename", overtaken)
    write(tmp_path / "it", replace=True, source="slower")
    assert cache.read(tmp_path / "it", "")[1].source == "quicker"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("file", ["x.npy", "y.npy"])
def test_a_spoilt_header_is_a_damaged_folder(file: str, tmp_path: Path) -> None:
    write(tmp_path / "it")
    content = (tmp_path / "it" / file).read_bytes()
    (tmp_path / "it" / file).write_bytes(content.replace(b")", b"(", 1))
    with pytest.raises(DataError, match=r"it is damaged .*; mend it so"):
        cache.read(tmp_path / "it", "mend it so")


def test_a_full_disk_is_a_disk_error_and_leaves_nothing(full_disk: Callable[[int], AbstractContextManager[None]], tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(DiskError, match=r"cannot write .*it .*free the disk"):
        write(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_swept_up_but_not_what_is_being_written(tmp_path: Path) -> None:
    for name, age in ((".it.dead0000.part", 2 * 3600), (".it.alive000.part", 60), (".it.long0000.part", 2 * 3600)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.npy").touch()
        os.utime(tmp_path / name / "x.npy", (time.time() - (60 if "long" in name else age),) * 2)  # it still grows
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write(tmp_path / "it")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".it.alive000.part", ".it.long0000.part", "it"]
