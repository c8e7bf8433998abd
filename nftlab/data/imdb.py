"""IMDB film reviews: which of 50,000 are favourable, by the words in them."""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nftlab.data import cache, places
from nftlab.data.base import Progress
from nftlab.data.published import Published
from nftlab.data.tfidf import tf_idf
from nftlab.errors import DataError

LINES = "imdb50k.jsonl"  # a JSON list a line: [0 to train or 1 to test, rating 1–10, id, text]
FOLDER = "aclImdb"
FOLDERS = ("train/neg", "train/pos", "test/neg", "test/pos")


class Review(NamedTuple):
    """A review, its file's name in the archive, and its sort: an index into FOLDERS."""

    sort: int
    name: str
    text: str


class Imdb(Published):
    """50,000 film reviews as TF-IDF vectors of 20,002 numbers, sparse: 1 is favourable (docs/data.md).

    Of the 25,000 training reviews the last fifth of each class validates. Rows are unfavourable before favourable, by file name.
    Words and weights are those of all 25,000. Read from the archive, its unpacked folder, or JSON lines.
    """

    name = "imdb"
    about = "50,000 film reviews, TF-IDF of 20,000 words (Maas et al., 2011)"
    licence = "none stated, for research; cite Maas et al. (2011)"
    counts = (20_000, 5_000, 25_000)
    archive = "aclImdb_v1.tar.gz"
    published = "7c2ac02c03563afcf9b574c7e56c153a"
    megabytes = 84
    url = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
    unpacked = f"the folder {FOLDER} in it"

    def loose(self, root: Path | None) -> list[Path]:
        """The four folders of reviews, else the JSON lines."""
        for parent in (*places.folders(self.name, root), *(folder.parent for folder in places.folders(self.name, root))):
            found = [parent / FOLDER / name for name in FOLDERS]
            if all(map(os.path.isdir, found)):
                return found
        lines = places.find(self.name, LINES, root)
        return [lines] if lines else []

    def parse(self, files: list[Path], folder: Path, progress: Progress) -> None:
        """Write the cache folder from the reviews."""
        try:
            reviews = sorted(self._reviews(files, progress))
        except (OSError, EOFError, ValueError, TypeError, tarfile.TarError, zlib.error) as error:
            raise DataError(f"{files[0]} is damaged ({error})", self.mend()) from error
        sorts = np.array([review.sort for review in reviews])
        if len(set(sorts.tolist())) < len(FOLDERS):
            raise DataError(f"{files[0]} has not all of {', '.join(FOLDERS)}", self.mend())
        read = np.concatenate([np.flatnonzero(sorts == sort) for sort in (1, 0, 2, 3)])  # equally frequent words: favourable reviews first
        x = tf_idf((reviews[row].text for row in read), len(read), int((sorts < 2).sum()), progress)
        place = np.empty(len(read), np.int64)
        place[read] = np.arange(len(read))
        parts = self._parts(sorts)
        rows = np.concatenate(parts)
        counts = (len(parts[0]), len(parts[1]), len(parts[2]))
        source = ("JSON lines" if files[0].name == LINES else "official") if counts == self.counts else f"a part: {len(rows):,} reviews"
        cache.write_sparse(folder, x.select(torch.from_numpy(place[rows])), sorts[rows] % 2, counts=counts, source=source)

    def _parts(self, sorts: np.ndarray) -> list[np.ndarray]:
        """Rows to train, validate and test on."""
        train, valid = [], []
        for sort in (0, 1):
            rows = np.flatnonzero(sorts == sort)
            kept = len(rows) * self.counts[0] // (self.counts[0] + self.counts[1])
            train.append(rows[:kept])
            valid.append(rows[kept:])
        return [np.concatenate(train), np.concatenate(valid), np.flatnonzero(sorts >= 2)]

    def _reviews(self, files: list[Path], progress: Progress) -> Iterable[Review]:
        if files[0].name == LINES:
            return _from_lines(files[0])
        if files[0].name == self.archive:
            return _from_archive(self.intact(files[0]), sum(self.counts), progress)
        return _from_folders(files, sum(self.counts), progress)


def _from_lines(path: Path) -> Iterator[Review]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            test, rating, number, text = json.loads(line)
            if test not in (0, 1) or not isinstance(text, str):
                raise ValueError(f"no review: {line.strip()[:60]}")
            yield Review(2 * test + (rating > 5), f"{number}_{rating}.txt", text)


def _from_folders(folders: list[Path], total: int, progress: Progress) -> Iterator[Review]:
    done = 0
    for sort, folder in enumerate(folders):
        for file in folder.glob("*.txt"):
            yield Review(sort, file.name, file.read_text(encoding="utf-8"))
            done += 1
            if done % 1000 == 0:
                progress(f"reading {FOLDER}", done, total)


def _from_archive(path: Path, total: int, progress: Progress) -> Iterator[Review]:
    done = 0
    with tarfile.open(path) as archive:
        for member in archive:
            inside = Path(member.name)
            sort = "/".join(inside.parts[-3:-1])
            if inside.suffix == ".txt" and sort in FOLDERS and (content := archive.extractfile(member)):
                yield Review(FOLDERS.index(sort), inside.name, content.read().decode("utf-8"))
                done += 1
                if done % 1000 == 0:
                    progress(f"reading {path.name}", done, total)
