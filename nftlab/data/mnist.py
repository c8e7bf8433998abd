"""MNIST from the publishers' idx files, plain or gzipped, checked against the published sums each time it is read."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nftlab.data import places
from nftlab.data.base import Dataset, Progress, Status, silent
from nftlab.data.fetch import fetch
from nftlab.data.task import Task, cut, digest
from nftlab.errors import DataError, DiskError


class Checksums(NamedTuple):
    """Of a published file, hex: SHA-256 of its content, MD5 of the gzipped file that is downloaded."""

    sha256: str
    md5_gz: str


# In the order they are read: training images and labels, test images and labels.
FILES: dict[str, Checksums] = {
    "train-images-idx3-ubyte": Checksums(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", "f68b3c2dcbeaaa9fbdd348bbdeb94873"
    ),
    "train-labels-idx1-ubyte": Checksums(
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", "d53e105ee54ea40749a09fcbcd1e9432"
    ),
    "t10k-images-idx3-ubyte": Checksums(
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", "9fb629c4189551a2d022fa330f9573f3"
    ),
    "t10k-labels-idx1-ubyte": Checksums(
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", "ec29112dd5afa0611ce80d1b7f02629c"
    ),
}
_LARGEST = 50_000_000  # bytes, more than any of them has
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")


class Mnist(Dataset):
    """70,000 handwritten digits, 28×28, uint8 with scale 1/255.

    The first 50,000 of the 60,000 training images train, the other 10,000 validate; the 10,000 test images test.
    `files`, `counts` and `mirrors` are those of the published data set; a set in the same format may name its own.
    """

    name = "mnist"
    commands = ("get",)
    about = "70,000 handwritten digits, 28×28"
    licence = "CC BY-SA 3.0"

    def __init__(
        self,
        files: Mapping[str, Checksums] = FILES,
        counts: tuple[int, int, int] = (50_000, 10_000, 10_000),
        mirrors: Sequence[str] = MIRRORS,
    ) -> None:
        self.files = dict(files)
        self.counts = counts
        self.mirrors = tuple(mirrors)

    def status(self, root: Path | None = None) -> Status:
        """ "ready" when all four files are here, plain or gzipped, else "missing"."""
        return "missing" if self.where(root) is None else "ready"

    def where(self, root: Path | None = None) -> Path | None:
        """The folder of the files, or None when one is missing."""
        found = [self._find(file, root) for file in self.files]
        return found[0].parent if found[0] and all(found) else None

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU. Raises DataError when a file is missing or not the published one."""
        train_x, train_y, test_x, test_y = (read_idx(self._content(file, root), file) for file in self.files)
        x = np.concatenate([train_x, test_x])[:, None]
        y = np.concatenate([train_y, test_y]).astype(np.int64)
        if not len(x) == len(y) == sum(self.counts):
            raise DataError(f"{self.name}: {len(x)} images and {len(y)} labels, {sum(self.counts)} expected", self.mend())
        splits = cut(x, y, self.counts)
        return Task(self.name, self.shape, self.classes, *splits, scale=1 / 255, source="official", sha256=digest(*splits))

    def verify(self, root: Path | None = None, progress: Progress = silent) -> list[str]:
        """Check every file's checksum, then counts, shapes and labels."""
        checked = self.check(self.load(root, progress), self.mend(root))
        return [*(f"{self._find(file, root)}: sha256 as published" for file in self.files), *checked]

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Download the files that are missing or damaged; a damaged one is kept as `<name>.damaged`."""
        fetched = []
        for file, published in self.files.items():
            if self._good(file, root):
                continue
            path = places.writable(self.name, root) / f"{file}.gz"
            try:
                fetch([f"{mirror}{file}.gz" for mirror in self.mirrors], path, published.md5_gz, progress, most=_LARGEST)
            except DataError as error:
                names = ", ".join(f"{name}.gz" for name in self.files)
                raise DataError(str(error), f"put the files under {path.parent} yourself ({names}), or set NFTLAB_DATA") from error
            fetched.append(path)
        return fetched

    def mend(self, root: Path | None = None) -> str | None:
        """The command that fetches what is missing or damaged."""
        return f"run `nftlab data get {self.name}`"

    def _find(self, file: str, root: Path | None) -> Path | None:
        return places.find(self.name, file, root) or places.find(self.name, f"{file}.gz", root)

    def _good(self, file: str, root: Path | None) -> bool:
        """Whether a good copy of a file is here; damaged ones are put out of the way."""
        while path := self._find(file, root):
            try:
                self._content(file, root)
                return True
            except DataError:
                _put_away(path)
        return False

    def _content(self, file: str, root: Path | None) -> np.ndarray:
        """The bytes of a file, unzipped and checked."""
        path = self._find(file, root)
        if path is None:
            folder = places.folders(self.name, root)[0]
            raise DataError(f"{self.name} is not here: no {file} or {file}.gz in {folder}", f"{self.mend()}, or set NFTLAB_DATA")
        try:
            with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as opened:
                content = np.frombuffer(bytearray(opened.read(_LARGEST)), np.uint8)  # what is longer has another checksum
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is damaged ({error}), so its checksum cannot be the published one", self.mend()) from error
        found = hashlib.sha256(content.data).hexdigest()
        if found != self.files[file].sha256:
            raise DataError(f"{path} is damaged: its content's sha256 is {found}, published {self.files[file].sha256}", self.mend())
        return content


def _put_away(path: Path) -> None:
    try:
        os.replace(path, path.with_name(path.name + ".damaged"))
    except OSError as error:
        raise DiskError(f"{path} is damaged and cannot be moved away ({error.strerror})", "remove it, or set NFTLAB_DATA") from error


def read_idx(content: np.ndarray, what: str) -> np.ndarray:
    """The uint8 array of an idx file's bytes (magic 0, 0, 8, dimensions; sizes big-endian). Raises DataError naming `what`."""
    if len(content) < 4 or tuple(content[:3]) != (0, 0, 8):
        raise DataError(f"{what} is not an idx file of bytes")
    start = 4 + 4 * int(content[3])
    if len(content) < start:
        raise DataError(f"{what} ends in its header")
    shape = tuple(content[4:start].view(">u4").tolist())
    if len(content) != start + math.prod(shape):
        raise DataError(f"{what} has {len(content)} bytes, {start + math.prod(shape)} expected for {shape}")
    return content[start:].reshape(shape)
