"""Where data are looked for and written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from nftlab.data import cache, places
from nftlab.errors import DataError, DiskError
from tests.data.formats import write_small


def test_the_named_root_comes_before_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.default_root() == tmp_path / "named"
    monkeypatch.delenv("NFTLAB_DATA")
    assert places.default_root() == tmp_path / "user-cache" / "nftlab" / "data"
    assert places.folders("mnist") == [tmp_path / "user-cache" / "nftlab" / "data" / "mnist"]


def test_files_in_the_users_cache_are_found_whatever_the_root(tmp_path: Path) -> None:
    data = write_small(places.user_root())
    assert data.where() == places.user_root() / "mnist"
    assert data.load().sha256 == data.load(tmp_path / "another").sha256


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


def test_a_full_disk_is_a_disk_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit is what a full disk looks like to whoever writes: the write itself fails."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old_limit[1]))
    try:
        with pytest.raises(DiskError, match=r"cannot write .*it .*free the disk"):
            write(tmp_path / "it")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_swept_up_but_not_what_is_being_written(tmp_path: Path) -> None:
    for name, age in ((".it.dead0000.part", 2 * 3600), (".it.alive000.part", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write(tmp_path / "it")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".it.alive000.part", "it"]
