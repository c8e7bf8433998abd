"""Wine reviews: which of 129,971 give 90 points or more, by the words of their descriptions or a sentence encoder's vectors."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from nftlab.data import cache, places
from nftlab.data.base import Progress, Status, silent
from nftlab.data.encode import DEFAULT, Encode, sentence_encoder
from nftlab.data.fetch import hashed
from nftlab.data.parsed import MADE, Parsed, remove
from nftlab.data.stratify import stratified
from nftlab.data.task import Task
from nftlab.data.tfidf import tf_idf
from nftlab.errors import DataError

FILE = "winemag-data-130k-v2.csv"
PAGE = "https://www.kaggle.com/datasets/zynicide/wine-reviews"
GOOD = 90  # points
TOGETHER = 512  # texts encoded between two reports of progress
ROWS = 129_971
TRAIN, VALID = 100_000, 30_000  # the first rows train, of which so many validate; the others test


class WinesTfidf(Parsed):
    """Wine reviews as TF-IDF vectors of 20,002 numbers, sparse: 1 is 90 points or more (docs/data.md).

    The first 100,000 rows of the file train, of which 30,000 validate, stratified; the other 29,971 test. Words and weights
    are those of the first 100,000. A file of fewer rows is split in the same proportions, and the source says so.
    """

    name = "wines-tfidf"
    about = "129,971 wine reviews, TF-IDF of 20,000 words (Kaggle)"
    licence = "CC BY-NC-SA 4.0"
    counts = (TRAIN - VALID, VALID, ROWS - TRAIN)

    def files(self, root: Path | None) -> list[Path]:
        """The CSV file, which lies under `wines`."""
        found = places.find("wines", FILE, root)
        return [found] if found else []

    def mend(self, root: Path | None = None) -> str:
        """The command that reads its file anew, or where that is to be had."""
        return super().mend(root) if self.files(root) else by_hand(root)

    def ways(self) -> str:
        """How to get the file by hand."""
        return f"`nftlab data get {self.name}` reads it: {by_hand(None)}"

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Parse the file anew. Raises DataError saying where it is to be had: behind an account, so not by a program."""
        if not self.files(root):
            raise DataError(f"{self.name} cannot be fetched", by_hand(root))
        return super().get(root, progress)

    def parse(self, files: list[Path], folder: Path, progress: Progress) -> None:
        """Write the cache folder from the CSV file."""
        texts, labels = reviews(files[0])
        parts = split(labels)
        fitted = len(parts[0]) + len(parts[1])
        x = tf_idf(texts, len(texts), fitted, progress).select(torch.from_numpy(np.concatenate(parts)))
        counts = (len(parts[0]), len(parts[1]), len(parts[2]))
        cache.write_sparse(folder, x, labels[np.concatenate(parts)], counts=counts, source=extent(len(labels)))


class Wines(WinesTfidf):
    """Wine reviews as vectors of a sentence encoder: 1 is 90 points or more; rows as in `wines-tfidf`.

    `make` encodes the file's descriptions once, by any sentence-transformers model; a model of another width than 768 gives
    examples of its own shape. Texts go in batches, which the published code did one at a time: equal up to rounding.
    """

    name = "wines"
    commands = ("make",)
    about = "129,971 wine reviews, vectors of a sentence encoder (Kaggle)"

    def __init__(self, encoder: str = DEFAULT, encode: Encode | None = None) -> None:
        self.encoder = encoder
        self.encode = encode

    def status(self, root: Path | None = None) -> Status:
        """ "made" with vectors, else "missing"."""
        return "made" if self.cached(root) else "missing"

    def where(self, root: Path | None = None) -> Path | None:
        """The folder of the vectors, or None."""
        return self.cached(root)

    def mend(self, root: Path | None = None) -> str:
        """The command that encodes anew."""
        return f"run `nftlab data make {self.name}`"

    def ways(self) -> str:
        """How to get the file and encode it."""
        return f"`nftlab data get {self.name}` tells where its file is to be had, `nftlab data make {self.name}` encodes it"

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The vectors made last, on the CPU, memory-mapped. Raises DataError when there are none, or of another file than is here."""
        folder, files = self.cached(root), self.files(root)
        if folder and files and folder.name != f"made-{content(files[0])}":
            raise DataError(f"{files[0]} is not the file that was encoded", self.mend())
        return self.task(folder, root)

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """See that the file is here. Raises DataError saying where it is to be had, or, when it is, how to encode it."""
        if not self.files(root):
            raise DataError(f"{self.name} cannot be fetched", by_hand(root))
        if not self.cached(root):
            raise DataError(f"{self.name}: {FILE} is here, but not encoded", self.mend())
        return []

    def make(self, root: Path | None = None, seed: int = 0, progress: Progress = silent) -> Path:
        """Encode the descriptions; what another encoder made is replaced. Raises DataError when the file or the encoder is not here."""
        files = self.files(root)
        if not files:
            raise DataError(f"{self.name} cannot be made without {FILE}", by_hand(root))
        encode, how = (self.encode, self.encoder) if self.encode else sentence_encoder(self.encoder)
        texts, labels = reviews(files[0])
        parts = split(labels)
        rows = np.concatenate(parts)
        width = encode(texts[:1]).shape[1]

        def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, len(rows), TOGETHER):
                some = rows[start : start + TOGETHER]
                yield encode([texts[row] for row in some]), labels[some]
                progress(f"encoding {self.name}", start + len(some), len(rows))

        folder = places.writable(self.name, root) / f"made-{content(files[0])}"
        counts = (len(parts[0]), len(parts[1]), len(parts[2]))
        source = f"{extent(len(labels))}, encoded by {how}"
        cache.write(folder, chunks(), counts=counts, shape=(width,), dtype=np.float32, scale=1.0, source=source, replace=True)
        remove(other for other in folder.parent.glob(MADE) if other != folder)
        return folder

    def cached(self, root: Path | None, *patterns: str) -> Path | None:
        """The newest folder of vectors, or None."""
        return super().cached(root, *(patterns or (MADE,)))

    def expected(self, task: Task) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """The examples are as wide as the encoder makes them."""
        return super().expected(task)[0], task.shape


def content(path: Path) -> str:
    """What vectors of a file are kept by: 16 hexadecimal digits of its content's SHA-256, since encoding it anew may take hours."""
    return hashed(path, "sha256")[:16]


def reviews(path: Path) -> tuple[list[str], np.ndarray]:
    """Descriptions and labels (n,) of the CSV file. Raises DataError when it is no such file."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [(row["description"], int(row["points"]) >= GOOD) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is damaged, or not {FILE} ({type(error).__name__}: {error})", f"download it anew from {PAGE}") from error
    if not 0 < sum(good for _, good in rows) < len(rows):
        raise DataError(f"{path} has {len(rows)} reviews, not of both classes", f"download it anew from {PAGE}")
    return [text for text, _ in rows], np.array([good for _, good in rows], np.int64)


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train, validate and test on."""
    first = len(labels) * TRAIN // ROWS
    train, valid = stratified(labels[:first], first * VALID // TRAIN)
    return train, valid, np.arange(first, len(labels))


def extent(rows: int) -> str:
    """The beginning of a source: whether all reviews are here."""
    return "official" if rows == ROWS else f"a part: {rows:,} of {ROWS:,} reviews"


def by_hand(root: Path | None) -> str:
    """Where the file is to be had and where to put it."""
    return f"download {FILE} from {PAGE} (it asks for an account) and put it under {places.folders('wines', root)[0]}"
