"""Downloading from a real server on this machine: whole, broken off, wrong, not there."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from nftlab.data.cifar import Cifar100
from nftlab.data.fetch import checksum, fetch
from nftlab.data.mnist import FILES
from nftlab.data.mnist_rot import MnistRot
from nftlab.errors import DataError, DiskError
from tests.data.formats import COUNTS, put_archive, small_tables, write_cifar, write_imdb, write_small

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
MOST = 2 * len(CONTENT)
ARCHIVE = MnistRot.archive


@dataclass
class Server:
    """Serves bytes by path; `cuts` are after how many bytes the next connections break; `ranges` are those asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    ranges: list[int] = field(default_factory=list)
    resumes: bool = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = state.files.get(self.path)
            if content is None:
                return self.send_error(404)
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and state.resumes else 0
            state.ranges.append(start)
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = start + state.cuts.pop(0) if state.cuts else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield state
    running.shutdown()
    running.server_close()


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/file"


def test_a_file_arrives_whole_with_progress(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    seen: list[tuple[str, int, int]] = []
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, lambda *step: seen.append(step), most=MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen[-1] == ("file", len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_any_kind_of_published_checksum_is_checked(kind: str, server: Server, tmp_path: Path) -> None:
    server.files = {"/file": CONTENT, "/other": CONTENT[:-1]}
    published = hashlib.new(kind, CONTENT).hexdigest()
    with pytest.raises(DataError, match=f"its {kind} is .*, published {published}"):
        fetch([f"{server.url}/other"], tmp_path / "file", published, most=MOST)
    fetch([f"{server.url}/file"], tmp_path / "file", published, most=MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["/file"], server.cuts = CONTENT, [100_000, 50_000]
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [0, 100_000, 150_000]


def test_what_an_earlier_call_left_is_continued(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT[:200_000])
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert checksum(tmp_path / "file", MD5) == MD5
    assert server.ranges == [200_000]


@pytest.mark.parametrize("left", [b"something else" * 100, CONTENT + b"too long"])
def test_what_was_left_of_another_file_is_started_over(left: bytes, server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    (tmp_path / "file.part").write_bytes(left)
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert checksum(tmp_path / "file", MD5) == MD5


def test_a_server_that_cannot_resume_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.files["/file"], server.cuts, server.resumes = CONTENT, [100_000], False
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_always_breaks_is_given_up(server: Server, tmp_path: Path) -> None:
    server.files["/file"], server.cuts = CONTENT, [100_000, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"cannot reach .*breaks every time"):
        fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:100_000]  # kept for the next call


def test_another_content_is_refused_and_the_next_mirror_asked(server: Server, tmp_path: Path) -> None:
    server.files = {"/bad": CONTENT[:-1] + b"!", "/good": CONTENT}
    with pytest.raises(DataError, match=rf"/bad: not the published file: its md5 is \w+, published {MD5}"):
        fetch([f"{server.url}/bad"], tmp_path / "file", MD5, most=MOST)
    assert list(tmp_path.iterdir()) == []
    fetch([f"{server.url}/bad", f"{server.url}/none", f"{server.url}/good"], tmp_path / "file", MD5, most=MOST)
    assert checksum(tmp_path / "file", MD5) == MD5


def test_a_folder_that_cannot_be_written_is_the_disks_fault(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(DiskError, match=r"cannot write .*blocked/file"):
        fetch([f"{server.url}/file"], tmp_path / "blocked" / "file", MD5, most=MOST)


@pytest.mark.parametrize("room", [100, 100_000, len(CONTENT) - 1])
def test_a_full_disk_is_not_taken_for_a_server_out_of_reach(
    room: int, full_disk: Callable[[int], AbstractContextManager[None]], server: Server, tmp_path: Path
) -> None:
    server.files["/file"] = CONTENT
    with full_disk(room), pytest.raises(DiskError, match=r"cannot write .*file.part .*; free the disk"):
        fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)  # room again
    assert checksum(tmp_path / "file", MD5) == MD5


def test_of_several_that_fetch_the_same_file_one_does_and_the_others_wait(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST), range(4)))
    assert server.ranges == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"cannot read {tmp_path} .*; make it readable, or remove it"):
        checksum(tmp_path, MD5)  # a folder: unreadable even for root


def test_offline_says_where_to_put_the_files(closed: str, tmp_path: Path) -> None:
    data = write_small(tmp_path / "elsewhere", mirrors=(closed.removesuffix("file"),))
    with pytest.raises(DataError) as caught:
        data.get(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"cannot reach {closed.removesuffix('file')}train-images-idx3-ubyte.gz (")
    assert f"put the files under {tmp_path}/mnist yourself (train-images-idx3-ubyte.gz, " in message
    assert "or set NFTLAB_DATA" in message
    with pytest.raises(DataError, match=f"cannot reach {closed}.*put {ARCHIVE} or its two tables under {tmp_path}/mnist-rot yourself"):
        MnistRot(urls=(closed,)).get(tmp_path)


def test_mnist_is_fetched_and_only_what_is_missing_or_damaged(server: Server, tmp_path: Path) -> None:
    data = write_small(tmp_path / "published", gz=True, mirrors=(f"{server.url}/",))
    server.files = {f"/{path.name}": path.read_bytes() for path in (tmp_path / "published" / "mnist").iterdir()}
    assert len(data.get(tmp_path)) == 4
    assert data.load(tmp_path).sha256 == data.load(tmp_path / "published").sha256
    assert data.get(tmp_path) == []
    damage: dict[str, Callable[[Path], object]] = {
        "t10k-images-idx3-ubyte": Path.unlink,
        "t10k-labels-idx1-ubyte": lambda p: p.write_bytes(b"?"),
    }
    for name, spoil in damage.items():
        spoil(tmp_path / "mnist" / f"{name}.gz")
    assert [path.name for path in data.get(tmp_path)] == [f"{name}.gz" for name in damage]
    assert data.verify(tmp_path)
    assert (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz.damaged").read_bytes() == b"?"


def test_a_damaged_plain_file_gives_way_to_a_good_archive(tmp_path: Path) -> None:
    write_small(tmp_path, gz=True)
    data = write_small(tmp_path)
    plain = tmp_path / "mnist" / next(iter(FILES))
    plain.write_bytes(b"?")
    assert data.get(tmp_path) == []
    assert data.verify(tmp_path)


def test_a_damaged_file_that_cannot_be_moved_away_says_what_to_do(tmp_path: Path) -> None:
    data = write_small(tmp_path)
    plain = tmp_path / "mnist" / next(iter(FILES))
    plain.write_bytes(b"?")
    plain.with_name(f"{plain.name}.damaged").mkdir()  # in the way, even for root
    with pytest.raises(DiskError, match=rf"{plain.name} is damaged and cannot be moved away .*; remove it, or set NFTLAB_DATA"):
        data.get(tmp_path)


def test_other_archives_are_fetched_and_read(server: Server, closed: str, tmp_path: Path) -> None:
    small = [write_cifar(Cifar100, tmp_path / "published", packed=True), write_imdb(tmp_path / "published", "archive")]
    for data in small:
        server.files[f"/{data.archive}"] = (tmp_path / "published" / data.name / data.archive).read_bytes()
        server.cuts = [1000]
        fetched = type(data)(data.counts, (closed, f"{server.url}/{data.archive}"), data.checksum)
        assert fetched.get(tmp_path) == [tmp_path / data.name / data.archive]
        assert fetched.load(tmp_path).sha256 == data.load(tmp_path / "published").sha256
        assert fetched.get(tmp_path) == []
        with pytest.raises(DataError, match=f"put {data.archive} or .* under {tmp_path}/none/{data.name} yourself"):
            type(data)(data.counts, (closed,), data.checksum).get(tmp_path / "none")


def test_mnist_rot_is_fetched_and_a_damaged_archive_replaced(server: Server, tmp_path: Path) -> None:
    md5 = put_archive(tmp_path / "published", small_tables())
    published = tmp_path / "published" / "mnist-rot" / ARCHIVE
    server.files = {f"/{ARCHIVE}": published.read_bytes()}
    data = MnistRot(counts=COUNTS, urls=(f"{server.url}/{ARCHIVE}",), published=md5)
    assert data.get(tmp_path) == [tmp_path / "mnist-rot" / ARCHIVE]
    assert data.load(tmp_path).source == "official"
    (tmp_path / "mnist-rot" / ARCHIVE).write_bytes(b"?")
    assert data.get(tmp_path) == [tmp_path / "mnist-rot" / ARCHIVE]
    assert data.verify(tmp_path)
    shutil.rmtree(tmp_path / "mnist-rot")
    assert data.status(tmp_path) == "missing"


def test_a_server_that_sends_more_than_there_can_be_fills_no_disk(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = bytes(100 * len(CONTENT))
    with pytest.raises(DataError, match="longer than 600000 bytes"):
        fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert list(tmp_path.iterdir()) == []


def test_a_link_under_the_name_of_an_unfinished_download_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.files["/file"] = CONTENT
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "file.part").symlink_to(precious)
    fetch([f"{server.url}/file"], tmp_path / "file", MD5, most=MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert not (tmp_path / "file").is_symlink()
    assert precious.read_text() == "mine"
