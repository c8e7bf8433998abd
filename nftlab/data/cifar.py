"""CIFAR-10 and CIFAR-100 from the publishers' binary version: fixed-length records, nothing to unpickle."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from nftlab.data import cache, places
from nftlab.data.base import Progress
from nftlab.data.published import Published
from nftlab.data.stratify import stratified
from nftlab.errors import DataError

_CHUNK = 5000  # images written at a time


class Cifar10(Published):
    """60,000 colour photographs of ten kinds of things, 3×32×32, uint8 with scale 1/255.

    Of the 50,000 training images a fifth validates, stratified (on the clean labels: noise comes with
    `label_noise`). Rows keep their published order. Files with fewer records are read all the same, and the source says so.
    """

    name = "cifar10"
    about = "60,000 photographs of 10 kinds of things, 3×32×32"
    licence = "none stated, for research; cite Krizhevsky (2009)"
    counts = (40_000, 10_000, 10_000)
    archive = "cifar-10-binary.tar.gz"
    published = "c32a1d4ab5d03f1284b67883e8d87530"
    megabytes = 170
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    unpacked = "the .bin files in it"
    folder: ClassVar[str] = "cifar-10-batches-bin"
    train: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
    test: ClassVar[str] = "test_batch.bin"
    label_bytes: ClassVar[int] = 1  # before the pixels; the last of them is the class

    def loose(self, root: Path | None) -> list[Path]:
        """The .bin files: under the data set's folder, in the archive's folder there, or in one of that name under the root."""
        names = (*self.train, self.test)
        for of, inside in ((self.name, ""), (self.name, f"{self.folder}/"), (self.folder, "")):
            found = [path for name in names if (path := places.find(of, inside + name, root))]
            if len(found) == len(names):
                return found
        return []

    def parse(self, files: list[Path], folder: Path, progress: Progress) -> None:
        """Write the cache folder from the records."""
        contents = self._contents(files, progress)
        *batches, (test_x, test_y) = (self._records(contents[name], files[0].parent / name) for name in (*self.train, self.test))
        x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        every = self.counts[0] + self.counts[1]
        train, valid = stratified(y, len(y) * self.counts[1] // every)
        source = "official"
        if (len(y), len(test_y)) != (every, self.counts[2]):
            source = f"a part: {len(y):,} of {every:,} training and {len(test_y):,} of {self.counts[2]:,} test images"

        def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for rows in (train, valid):
                for start in range(0, len(rows), _CHUNK):
                    some = rows[start : start + _CHUNK]
                    yield x[some], y[some]
            yield test_x, test_y

        counts = (len(train), len(valid), len(test_y))
        cache.write(folder, chunks(), counts=counts, shape=self.shape, dtype=np.uint8, scale=1 / 255, source=source)

    def _contents(self, files: list[Path], progress: Progress) -> dict[str, bytes]:
        """The bytes of every file by its name, from unpacked files or the archive."""
        try:
            if len(files) > 1:
                return {file.name: file.read_bytes() for file in files}
            contents = {}
            with tarfile.open(self.intact(files[0])) as archive:
                for member in archive:
                    name = Path(member.name).name
                    if name in (*self.train, self.test) and (content := archive.extractfile(member)):
                        contents[name] = content.read()
                        progress(f"reading {self.archive}", len(contents), len(self.train) + 1)
            return contents
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise DataError(f"{files[0]} is damaged ({error})", self.mend()) from error

    def _records(self, content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Images (m, 3, 32, 32) uint8 and labels (m,)."""
        size = self.label_bytes + 3 * 32 * 32
        if not content or len(content) % size:
            raise DataError(f"{path} is damaged: {len(content)} bytes, a multiple of {size} expected", self.mend())
        records = np.frombuffer(content, np.uint8).reshape(-1, size)
        labels = records[:, self.label_bytes - 1].astype(np.int64)
        if labels.max() >= self.classes:
            raise DataError(f"{path} is damaged: label {labels.max()}, 0 … {self.classes - 1} expected", self.mend())
        return records[:, self.label_bytes :].reshape(-1, 3, 32, 32), labels


class Cifar100(Cifar10):
    """60,000 colour photographs of a hundred kinds of things, as CIFAR-10; the labels are the fine ones."""

    name = "cifar100"
    about = "60,000 photographs of 100 kinds of things, 3×32×32"
    archive = "cifar-100-binary.tar.gz"
    published = "03b5dce01913d631647c71ecec9e9cb8"
    megabytes = 169
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    folder = "cifar-100-binary"
    train = ("train.bin",)
    test = "test.bin"
    label_bytes = 2  # coarse, fine
