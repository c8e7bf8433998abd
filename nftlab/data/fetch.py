"""Fetching published files: written aside, taken up again where a connection broke, checked, then renamed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from nftlab.data.base import Progress, silent
from nftlab.errors import DataError, DiskError

_BLOCK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_FRUITLESS = 3  # connections in a row that brought nothing before a server is given up


def fetch(urls: Sequence[str], path: Path, published: str, progress: Progress = silent, *, most: int) -> None:
    """Download a file from the first of the addresses that has it, `published` (hex) being the file's published checksum.

    It has `most` bytes at most: a server that sends more is not believed. What a broken download left in `<path>.part` is
    continued; while another process fetches into the same folder, it is waited for. Raises DataError with what every
    address answered, DiskError when the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    reasons = []
    with _alone(path.parent):
        if path.exists() and checksum(path, published) == published:
            return  # another process has just fetched it
        for url in urls:
            try:
                _fetch_checked(url, part, published, progress, most)
                _renamed(part, path)
                return
            except DataError as error:
                reasons.append(f"{url}: {error}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                reasons.append(f"cannot reach {url} ({getattr(error, 'reason', None) or error})")
    raise DataError("; ".join(reasons))


def checksum(path: Path, published: str) -> str:
    """The checksum (hex) of a file's content, of the kind that was published: MD5, SHA-1 or SHA-256, told by its length."""
    return hashed(path, kind(published))


def hashed(path: Path, algorithm: str) -> str:
    """The hash (hex) of a file's content. Raises DataError when the file cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})", "make it readable, or remove it") from error


def kind(published: str) -> str:
    """Which checksum one of this length is: "md5", "sha1" or "sha256"."""
    return {32: "md5", 40: "sha1", 64: "sha256"}[len(published)]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time fetches into a folder: two that continue the same `.part` would spoil it."""
    with contextlib.ExitStack() as locked:
        with contextlib.suppress(OSError):  # a disk without locks, or no folder: who writes to it will say so
            opened = os.open(folder, os.O_RDONLY)
            locked.callback(os.close, opened)
            fcntl.flock(opened, fcntl.LOCK_EX)  # on the folder, so that no lock file is left behind
        yield


def _fetch_checked(url: str, part: Path, published: str, progress: Progress, most: int) -> None:
    if part.is_symlink():
        part.unlink()  # we make none: it would have us write elsewhere
    continued = part.exists()
    _download(url, part, progress, most)
    found = checksum(part, published)
    if found == published:
        return
    part.unlink()
    if not continued:
        raise DataError(f"not the published file: its {kind(published)} is {found}, published {published}")
    _fetch_checked(url, part, published, progress, most)  # what was continued may have been of another file


def _download(url: str, part: Path, progress: Progress, most: int) -> None:
    """Bring `part` to the file's full length, over as many connections as it takes."""
    fruitless = 0
    while not _connection(url, part, before := _length(part), progress, most):
        fruitless = fruitless + 1 if _length(part) <= before else 0
        if fruitless == _FRUITLESS:
            raise ConnectionError("the connection breaks every time")


def _connection(url: str, part: Path, have: int, progress: Progress, most: int) -> bool:
    """One connection's worth of the file; True when the file is complete."""
    request = urllib.request.Request(url, headers={"User-Agent": "nftlab", **({"Range": f"bytes={have}-"} if have else {})})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # nothing is missing; the checksum says whether there is too much
        raise
    with response, _opened(part, append=response.status == http.client.PARTIAL_CONTENT) as file:
        length = response.headers.get("Content-Length")
        total = file.tell() + int(length) if length else 0
        while block := _read(response):
            file.write(block)
            if file.tell() > most:
                part.unlink()
                raise DataError(f"not the published file: it is longer than {most} bytes")
            progress(part.name.removesuffix(".part"), file.tell(), total)
        return file.tell() >= total


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next block, empty at the end and where the connection broke: the length tells them apart."""
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException):
        return b""


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _opened(part: Path, *, append: bool) -> Iterator[BinaryIO]:
    """The file to write to. Whatever fails is the disk's fault: opening, writing, and closing, which writes the last bytes."""
    try:
        with open(part, "ab" if append else "wb", opener=_opened_itself) as file:
            yield file
    except OSError as error:
        raise DiskError(f"cannot write {part} ({error.strerror})", "free the disk, or set NFTLAB_DATA to a folder you can write") from error


def _opened_itself(path: str, flags: int) -> int:
    """A file, not what a link of its name points to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _renamed(part: Path, path: Path) -> None:
    try:
        os.replace(part, path)
    except OSError as error:
        raise DiskError(f"cannot write {path} ({error.strerror})", "set NFTLAB_DATA to a folder you can write") from error
