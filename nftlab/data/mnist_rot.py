"""Rotated MNIST: the published tables, or the same problem made from MNIST by their recipe."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from nftlab.data import cache, places
from nftlab.data.amat import Amat
from nftlab.data.base import Dataset, Progress, Status, silent
from nftlab.data.fetch import fetch, md5_of
from nftlab.data.mnist import Mnist
from nftlab.data.rotate import rotated
from nftlab.data.task import Task
from nftlab.errors import DataError

ARCHIVE = "mnist_rotation_new.zip"
ARCHIVE_MD5 = "0f9a947ff3d30e95cd685462cbf3b847"
URLS = (f"http://www.iro.umontreal.ca/~lisa/icml2007data/{ARCHIVE}",)
TABLES = ("mnist_all_rotation_normalized_float_train_valid.amat", "mnist_all_rotation_normalized_float_test.amat")
PAIRS = (("train.amat", "test.amat"), TABLES)
RECIPE = 1  # raised when made images change, so that what an older version made is not taken for the new
OFFICIAL, MADE = "official-*", f"made-{RECIPE}-*"  # names of cache folders
_CHUNK = 2000


class MnistRot(Dataset):
    """MNIST digits turned by angles uniform in [0, 2π): 10,000 to train, 2,000 to validate, 50,000 to test.

    The published tables (float32) are used when they are here, else what `make` left (uint8 with scale 1/255: the
    digits are 8-bit, so rounding adds at most half a grey level and memory is a quarter). Both hold images upright,
    as MNIST has them. Tables are parsed once, to a cache that counts for as long as their names, sizes and times of
    change are the same; the cache still counts as the published data when the tables are removed.
    """

    name = "mnist-rot"
    about = "MNIST digits at random angles, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made, MNIST's: CC BY-SA 3.0"

    def __init__(
        self,
        mnist: Mnist | None = None,
        counts: tuple[int, int, int] = (10_000, 2_000, 50_000),
        urls: tuple[str, ...] = URLS,
        archive_md5: str = ARCHIVE_MD5,
    ) -> None:
        self.mnist = mnist or Mnist()
        self.counts = counts
        self.urls = urls
        self.archive_md5 = archive_md5

    def status(self, root: Path | None = None) -> Status:
        """ "ready" with the published tables (or their cache), "made" with made images, else "missing"."""
        if self._tables(root) or self._cached(root, OFFICIAL):
            return "ready"
        return "made" if self._cached(root, MADE) else "missing"

    def where(self, root: Path | None = None) -> Path | None:
        """The folder of the tables or of the cache, or None when there is neither."""
        tables = self._tables(root)
        return tables[0].path.parent if tables else self._cached(root)

    def mend(self, root: Path | None = None) -> str:
        """The command that makes or fetches it anew, whichever way it is here."""
        return f"run `nftlab data {'make' if self.status(root) == 'made' else 'get'} {self.name}`"

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU, memory-mapped; parses published tables at the first call (4 s).

        Raises DataError when there is nothing to read, or what there is is damaged.
        """
        tables = self._tables(root)
        folder = self._parsed(tables, root, progress) if tables else self._cached(root)
        if folder:
            splits, meta = cache.read(folder, self.mend(root))
            return Task(self.name, self.shape, self.classes, *splits, scale=meta.scale, source=meta.source, sha256=meta.sha256)
        raise DataError(f"{self.name} is not here", f"run `nftlab data make {self.name}` (5 s) or `nftlab data get {self.name}`")

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Download the published archive (55 MB), unless tables are here, and parse it anew."""
        fetched = []
        tables = self._tables(root)
        archive = places.find(self.name, ARCHIVE, root)
        if not tables or (tables[0].path == archive and md5_of(archive) != self.archive_md5):
            path = archive or places.writable(self.name, root) / ARCHIVE
            try:
                fetch(self.urls, path, self.archive_md5, progress)
            except DataError as error:
                raise DataError(str(error), f"put {ARCHIVE} or its two tables under {path.parent} yourself, or set NFTLAB_DATA") from error
            fetched.append(path)
        for parent in places.folders(self.name, root):
            _remove(parent.glob(OFFICIAL))
        self.load(root, progress)
        return fetched

    def make(self, root: Path | None = None, seed: int = 0, progress: Progress = silent) -> Path:
        """Make the images from MNIST: digits drawn without replacement, one angle each; what was made before is replaced.

        No digit is both in the test split and another. Raises DataError when MNIST is not here.
        """
        digits = self.mnist.load(root)
        x, y = (np.concatenate([getattr(split, part).numpy() for split in (digits.train, digits.valid, digits.test)]) for part in "xy")
        random = np.random.RandomState(seed)  # NumPy froze this generator: a seed makes the same images for good
        chosen = random.permutation(len(y))[: sum(self.counts)]
        angles = random.uniform(0, 2 * np.pi, len(chosen))

        def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, len(chosen), _CHUNK):
                rows = chosen[start : start + _CHUNK]
                yield rotated(x[rows], angles[start : start + _CHUNK]), y[rows]
                progress(f"making {self.name}", start + len(rows), len(chosen))

        folder = places.writable(self.name, root) / f"made-{RECIPE}-seed{seed}"
        self._write(folder, chunks(), np.uint8, 1 / 255, f"made from MNIST, seed {seed}", replace=True)
        return folder

    def _write(
        self, folder: Path, chunks: Iterator[tuple[np.ndarray, np.ndarray]], dtype: type, scale: float, source: str, replace: bool
    ) -> None:
        """Write a cache folder; others of its kind are out of date by then and go."""
        cache.write(folder, chunks, counts=self.counts, shape=self.shape, dtype=dtype, scale=scale, source=source, replace=replace)
        kind = folder.name.partition("-")[0]
        _remove(other for other in folder.parent.glob(f"{kind}-*") if other != folder)

    def _cached(self, root: Path | None, *patterns: str) -> Path | None:
        """The newest cache folder of the first kind there is (published before made), or None."""
        for pattern in patterns or (OFFICIAL, MADE):
            for parent in places.folders(self.name, root):
                if found := sorted(parent.glob(pattern), key=lambda folder: folder.stat().st_mtime):
                    return found[-1]
        return None

    def _tables(self, root: Path | None) -> tuple[Amat, Amat] | None:
        """The published tables, loose or in their archive, or None."""
        for names in PAIRS:
            train, test = (places.find(self.name, name, root) for name in names)
            if train and test:
                return Amat(train), Amat(test)
        if archive := places.find(self.name, ARCHIVE, root):
            return Amat(archive, TABLES[0]), Amat(archive, TABLES[1])
        return None

    def _parsed(self, tables: tuple[Amat, Amat], root: Path | None, progress: Progress) -> Path:
        """The cache folder of the tables as they are now, written if need be."""
        stats = [(table.path.name, table.path.stat().st_size, table.path.stat().st_mtime_ns) for table in tables]
        name = f"official-{hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:16]}"
        if folder := self._cached(root, name):
            return folder
        train, test = self._checked(tables)
        side = self.shape[-1]

        def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            yield from train.rows(side, self.counts[0] + self.counts[1], progress)
            yield from test.rows(side, self.counts[2], progress)

        folder = places.writable(self.name, root) / name
        self._write(folder, chunks(), np.float32, 1.0, "official", replace=False)
        return folder

    def _checked(self, tables: tuple[Amat, Amat]) -> tuple[Amat, Amat]:
        """The tables, an archive's checksum compared and its members found at whatever depth."""
        archive = tables[0].path
        if tables[0].member is None:  # no checksum of the loose tables was published; their shape is checked as they are read
            return tables
        if (found := md5_of(archive)) != self.archive_md5:
            raise DataError(f"{archive} is damaged: its md5 is {found}, published {self.archive_md5}", f"run `nftlab data get {self.name}`")
        with zipfile.ZipFile(archive) as content:
            members = {Path(member).name: member for member in content.namelist()}
        return Amat(archive, members[TABLES[0]]), Amat(archive, members[TABLES[1]])


def _remove(folders: Iterable[Path]) -> None:
    for folder in list(folders):
        shutil.rmtree(folder, ignore_errors=True)
