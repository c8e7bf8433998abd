"""Small data sets in the publishers' formats, made of real digits."""

from __future__ import annotations

import functools
import gzip
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nftlab.data import load
from nftlab.data.mnist import FILES, Mnist, Published
from nftlab.data.mnist_rot import ARCHIVE, TABLES

SMALL = (400, 100, 200)  # rows of the small MNIST: 500 in the training files, 200 in the test files
COUNTS = (20, 10, 15)  # rows of the small tables


@dataclass(frozen=True)
class RealData:
    """A root with MNIST in the published format: the whole where it is to be had, else a small one."""

    root: Path
    mnist: Mnist
    whole: bool


@functools.cache
def digits28(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first real 8×8 digits at three times their size in frames of 28×28: uint8 images (count, 28, 28), labels (count,)."""
    task = load("digits")
    x = task.train.x[:count, 0].numpy().astype(np.float64) * 255 / 16
    return np.pad(np.kron(x, np.ones((1, 3, 3))), ((0, 0), (2, 2), (2, 2))).round().astype(np.uint8), task.train.y[:count].numpy()


def idx(array: np.ndarray) -> bytes:
    """An array as an idx file of bytes."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def write_small(root: Path, *, gz: bool = False, mirrors: tuple[str, ...] = ()) -> Mnist:
    """Write 700 real digits under `root` as MNIST is published; returns the data set that knows their checksums."""
    images, labels = digits28(sum(SMALL))
    train = SMALL[0] + SMALL[1]
    contents = [idx(part) for part in (images[:train], labels[:train], images[train:], labels[train:])]
    folder = root / "mnist"
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for name, content in zip(FILES, contents, strict=True):
        packed = gzip.compress(content, mtime=0)
        sums[name] = Published(hashlib.sha256(content).hexdigest(), hashlib.md5(packed).hexdigest())
        (folder / (f"{name}.gz" if gz else name)).write_bytes(packed if gz else content)
    return Mnist(sums, SMALL, mirrors)


def amat(images: np.ndarray, labels: np.ndarray, form: str = "%.8g") -> str:
    """Images (n, side, side) in [0, 1] and labels as a published table: pixels column by column, label last."""
    columns = images.transpose(0, 2, 1).reshape(len(images), -1)
    return "".join(" ".join(form % v for v in (*row, y)) + "\n" for row, y in zip(columns.tolist(), labels.tolist(), strict=True))


def small_tables() -> tuple[str, str]:
    """The two tables of the first digits, 30 rows and 15."""
    images, labels = digits28(sum(COUNTS))
    cut = COUNTS[0] + COUNTS[1]
    return amat(images[:cut] / 255, labels[:cut]), amat(images[cut:] / 255, labels[cut:])


def put_archive(root: Path, tables: tuple[str, str], prefix: str = "") -> str:
    """Write the published archive; returns its md5."""
    (root / "mnist-rot").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "mnist-rot" / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in zip(TABLES, tables, strict=True):
            archive.writestr(prefix + name, table)
    return hashlib.md5((root / "mnist-rot" / ARCHIVE).read_bytes()).hexdigest()
