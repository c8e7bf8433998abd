"""Fetching published files: written aside, taken up again where a connection broke, checked, then renamed."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from nftlab.data.base import Progress, silent
from nftlab.errors import DataError, DiskError

_BLOCK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_FRUITLESS = 3  # connections in a row that brought nothing before a server is given up


def fetch(urls: Sequence[str], path: Path, published: str, progress: Progress = silent) -> None:
    """Download a file from the first of the addresses that has it, `published` (hex) being the file's published checksum.

    What a broken download left in `<path>.part` is continued. Raises DataError with what every address answered,
    DiskError when the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    reasons = []
    for url in urls:
        try:
            _fetch_checked(url, part, published, progress)
            _renamed(part, path)
            return
        except DataError as error:
            reasons.append(f"{url}: {error}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"cannot reach {url} ({getattr(error, 'reason', None) or error})")
    raise DataError("; ".join(reasons))


def checksum(path: Path, published: str) -> str:
    """The checksum (hex) of a file's content, of the kind that was published: MD5, SHA-1 or SHA-256, told by its length."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind(published)).hexdigest()


def kind(published: str) -> str:
    """Which checksum one of this length is: "md5", "sha1" or "sha256"."""
    return {32: "md5", 40: "sha1", 64: "sha256"}[len(published)]


def _fetch_checked(url: str, part: Path, published: str, progress: Progress) -> None:
    continued = part.exists()
    _download(url, part, progress)
    found = checksum(part, published)
    if found == published:
        return
    part.unlink()
    if not continued:
        raise DataError(f"not the published file: its {kind(published)} is {found}, published {published}")
    _fetch_checked(url, part, published, progress)  # what was continued may have been of another file


def _download(url: str, part: Path, progress: Progress) -> None:
    """Bring `part` to the file's full length, over as many connections as it takes."""
    fruitless = 0
    while not _connection(url, part, before := _length(part), progress):
        fruitless = fruitless + 1 if _length(part) <= before else 0
        if fruitless == _FRUITLESS:
            raise ConnectionError("the connection breaks every time")


def _connection(url: str, part: Path, have: int, progress: Progress) -> bool:
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
            _written(file, block)
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


def _opened(part: Path, *, append: bool) -> BinaryIO:
    try:
        return open(part, "ab" if append else "wb")
    except OSError as error:
        raise DiskError(f"cannot write {part} ({error.strerror})", "set NFTLAB_DATA to a folder you can write") from error


def _written(file: BinaryIO, block: bytes) -> None:
    try:
        file.write(block)
    except OSError as error:
        raise DiskError(f"cannot write {file.name} ({error.strerror})", "free the disk, or set NFTLAB_DATA to another") from error


def _renamed(part: Path, path: Path) -> None:
    try:
        os.replace(part, path)
    except OSError as error:
        raise DiskError(f"cannot write {path} ({error.strerror})", "set NFTLAB_DATA to a folder you can write") from error
