from __future__ import annotations

import os
from pathlib import Path

import pytest

from nftlab import aside as module
from nftlab.aside import aside


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail() -> None:
        with aside(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "before")]
    with aside(path, ".part") as file:
        file.write(b"after")
        assert [each.suffix for each in tmp_path.iterdir() if each != path] == [".part"]
        assert path.read_text() == "before"
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "after")]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_link_is_neither_followed_nor_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious, path = tmp_path / "precious", tmp_path / "a.txt"
    precious.write_text("mine")
    path.symlink_to(precious)
    with aside(path) as file:
        file.write(b"new")
    assert (precious.read_text(), path.read_text(), path.is_symlink()) == ("mine", "new", False)
    monkeypatch.setattr(module.os, "urandom", lambda count: b"seen")
    (tmp_path / ".a.txt.7365656e").symlink_to(precious)
    with pytest.raises(FileExistsError), aside(path):
        pass
    assert precious.read_text() == "mine"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with aside(pipe) as file:
        file.write(b"told")
    assert (os.read(reader, 10), pipe.is_fifo(), [*tmp_path.iterdir()]) == (b"told", True, [pipe])
    os.close(reader)


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now
