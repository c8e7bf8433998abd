"""Small data sets in the publishers' formats, made of real digits."""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nftlab.data import load
from nftlab.data.base import Dataset
from nftlab.data.cifar import Cifar10
from nftlab.data.imdb import FOLDER, FOLDERS, LINES, Imdb
from nftlab.data.larochelle import Larochelle
from nftlab.data.mnist import FILES, Checksums, Mnist
from nftlab.data.mnist_rot import FromMnist, MnistRot
from nftlab.data.wines import FILE, Wines, WinesTfidf
from tests.realdata import _UNPACK

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
        sums[name] = Checksums(hashlib.sha256(content).hexdigest(), hashlib.md5(packed).hexdigest())
        (folder / (f"{name}.gz" if gz else name)).write_bytes(packed if gz else content)
    return Mnist(sums, SMALL, mirrors)


def amat(images: np.ndarray, labels: np.ndarray, form: str = "%.8g") -> str:
    """Images (n, side, side) in [0, 1] and labels as a published table: pixels column by column, label last."""
    columns = images.transpose(0, 2, 1).reshape(len(images), -1)
    return "".join(" ".join(form % v for v in (*row, y)) + "\n" for row, y in zip(columns.tolist(), labels.tolist(), strict=True))


def small_tables(classes: int = 10) -> tuple[str, str]:
    """The two tables of the first digits, 30 rows and 15, their labels modulo `classes`."""
    images, labels = digits28(sum(COUNTS))
    cut = COUNTS[0] + COUNTS[1]
    return amat(images[:cut] / 255, labels[:cut] % classes), amat(images[cut:] / 255, labels[cut:] % classes)


def put_archive(root: Path, tables: tuple[str, str], prefix: str = "", of: type[Larochelle] = MnistRot) -> str:
    """Write the published archive of a data set; returns its md5."""
    path = root / of.name / of.archive
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in zip(of.tables, tables, strict=True):
            archive.writestr(prefix + name, table)
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar_records(data: Cifar10, count: int, seed: int) -> bytes:
    """Records of the binary version: patches of a real photograph under labels that go round the classes."""
    from sklearn.datasets import load_sample_image

    photograph, random = load_sample_image("china.jpg"), np.random.RandomState(seed)
    records = []
    for label in range(count):
        top, left = random.randint(395), random.randint(608)
        pixels = photograph[top : top + 32, left : left + 32].transpose(2, 0, 1).tobytes()
        records.append(bytes([label % 7] * (data.label_bytes - 1) + [label % data.classes]) + pixels)
    return b"".join(records)


def write_cifar(kind: type[Cifar10], root: Path, *, packed: bool = False, where: str = "") -> Cifar10:
    """Write a small CIFAR under `root`, as .bin files or as the archive; returns the data set that knows its size and checksum."""
    each = 500 // len(kind.train)
    files = {name: cifar_records(kind(), each, seed) for seed, name in enumerate(kind.train)}
    files[kind.test] = cifar_records(kind(), 100, 9)
    folder = root / (where or kind.name)
    folder.mkdir(parents=True, exist_ok=True)
    if not packed:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return kind((400, 100, 100))
    return kind(
        (400, 100, 100), published=tar(folder / kind.archive, {f"{kind.folder}/{name}": content for name, content in files.items()})
    )


def tar(path: Path, files: dict[str, bytes]) -> str:
    """Write a gzipped archive of files; returns its md5."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def reviews() -> list[tuple[int, int, int, str]]:
    """40 film reviews as (0 to train or 1 to test, rating, id, text), in no order."""
    words = ["Film", "plot", "actor", "scene", "music", "ending", "director", "camera", "story", "cast", "dialogue", "pace", "style"]
    rows = []
    for number in range(40):
        good, chosen = number % 2, [words[(number * step + step) % len(words)] for step in (1, 3, 5, 7)]
        text = f"{'Great' if good else 'Awful'} {chosen[0]}, {chosen[1]}<br />and {chosen[2]}; the {chosen[3]} was no.{number} of the lot"
        rows.append((number // 20, 9 if good else 2, number // 2 % 10, text))
    return rows[::3] + rows[1::3] + rows[2::3]


def write_imdb(root: Path, form: str = "lines") -> Imdb:
    """Write the small reviews under `root` as "lines" (JSON), "folders" or "archive"; returns the data set that knows them."""
    folder = root / "imdb"
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{FOLDER}/{FOLDERS[2 * test + (rating > 5)]}/{number}_{rating}.txt": text for test, rating, number, text in reviews()}
    if form == "archive":
        extra = {f"{FOLDER}/train/unsup/0_0.txt": b"not rated", f"{FOLDER}/README": b"read me"}
        return Imdb((16, 4, 20), published=tar(folder / Imdb.archive, {name: text.encode() for name, text in files.items()} | extra))
    if form == "folders":
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    else:
        (folder / LINES).write_text("".join(json.dumps(row) + "\n" for row in reviews()))
    return Imdb((16, 4, 20))


def write_wines(root: Path, count: int = 130) -> None:
    """Write wine reviews as the published CSV file has them: quotes, commas and line ends in the descriptions."""
    names = ["", "country", "description", "designation", "points", "price", "province", "title", "variety", "winery"]
    kinds = ["plum", "cherry", "oak", "citrus", "smoke", "slate", "honey"]
    (root / "wines").mkdir(parents=True, exist_ok=True)
    with open(root / "wines" / FILE, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        for row in range(count):
            tastes = [kinds[(row * step) % len(kinds)] for step in (1, 2, 3)]
            text = f'Aromas of {tastes[0]}, "{tastes[1]}"\nand {tastes[2]}, number {row} of the château.'
            table.writerow([row, "Italy", text, "", 85 + row % 10, "", "Sicily", f"Wine {row}", "Red", "Winery"])


def letters(texts: list[str]) -> np.ndarray:
    """An encoder by hand: how often each of 7 letters occurs, and a number of the letters in their order."""
    return np.array(
        [[*(text.count(c) for c in "abcdeno"), sum(i * ord(c) for i, c in enumerate(text)) / 1e5] for text in texts], np.float32
    )


def small(dataset: Dataset, root: Path) -> Dataset:
    """A small data set in the format of this one, ready to load under `root`."""
    kind = type(dataset)
    if isinstance(dataset, Cifar10):
        return write_cifar(type(dataset), root)
    if isinstance(dataset, Imdb):
        return write_imdb(root)
    if isinstance(dataset, WinesTfidf):
        write_wines(root)
        made = Wines("letters", letters) if isinstance(dataset, Wines) else WinesTfidf()
        if isinstance(made, Wines):
            made.make(root)
        return made
    if isinstance(dataset, Larochelle):
        made = kind(write_small(root), SMALL) if issubclass(kind, FromMnist) else kind(SMALL)
        made.make(root)
        return made
    return write_small(root) if isinstance(dataset, Mnist) else dataset


def unpacked(name: str, dest: Path, *options: str) -> bool:
    """Unpack real data of this name from the archive beside the repository; False where there is none."""
    if not _UNPACK.is_file():
        return False
    subprocess.run([sys.executable, str(_UNPACK), str(dest), "--only", name, *options], check=True, capture_output=True)
    return True
