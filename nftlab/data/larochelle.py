"""The problems of Larochelle et al. (2007): their published tables, or the same problem made anew by the published recipe."""

from __future__ import annotations

import zipfile
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from nftlab.data import cache, places
from nftlab.data.amat import Amat
from nftlab.data.base import Progress, Status, silent
from nftlab.data.parsed import MADE, PARSED, remove
from nftlab.data.published import Published

SITE = "http://www.iro.umontreal.ca/~lisa/icml2007data/"
CHUNK = 2000  # images made at a time
_SEED = "-seed"  # in the name of a folder of made images, before their seed

Chunks = Iterator[tuple[np.ndarray, np.ndarray]]


class Larochelle(Published):
    """One problem of "An empirical evaluation of deep architectures on problems with many factors of variation" (ICML 2007), 28×28 grey.

    The published tables (float32) are used when they are here, else what `make` left (uint8 with scale 1/255: the sources
    are 8-bit, so rounding adds at most half a grey level and memory is a quarter). Both hold images upright.
    """

    commands = ("make", "get")
    unpacked = "its two tables"
    tables: ClassVar[tuple[str, str]]  # members of the archive: training and validation rows, test rows
    made_from: ClassVar[str]  # what `make` makes images of, for the task's source
    seconds: ClassVar[int]  # that `make` takes
    recipe: ClassVar[int] = 1  # raised when made images change, so that what an older version made is not taken for the new

    def __init__(
        self, counts: tuple[int, int, int] | None = None, urls: tuple[str, ...] | None = None, published: str | None = None
    ) -> None:
        super().__init__(counts, (SITE + self.archive,) if urls is None else urls, published)

    @abstractmethod
    def images(self, random: np.random.RandomState, root: Path | None, progress: Progress) -> Chunks:
        """Made images (m, 1, 28, 28) uint8 and labels (m,), `sum(counts)` in all. Raises DataError when their source is not here.

        NumPy froze RandomState: a seed makes the same images for good.
        """

    def status(self, root: Path | None = None) -> Status:
        """ "ready" with the published tables (or their cache), "made" with made images, else "missing"."""
        found = super().status(root)
        return "made" if found == "missing" and self.cached(root) else found

    def mend(self, root: Path | None = None) -> str:
        """The command that makes or fetches it anew, whichever way it is here; made images with their seed."""
        folder = self.cached(root) if self.status(root) == "made" else None
        if folder is None:
            return f"run `nftlab data get {self.name}`"
        seed = folder.name.rpartition(_SEED)[2]
        return f"run `nftlab data make {self.name}{'' if seed == '0' else f' --seed {seed}'}`"

    def ways(self) -> str:
        """The commands that bring it, for who has nothing."""
        return f"run `nftlab data make {self.name}` ({self.seconds} s) or `nftlab data get {self.name}` ({self.megabytes} MB)"

    def make(self, root: Path | None = None, seed: int = 0, progress: Progress = silent) -> Path:
        """Make the images by the published recipe; what was made before is replaced. Raises DataError when their source is not here."""
        chunks = self.images(np.random.RandomState(seed), root, progress)
        folder = places.writable(self.name, root) / f"made-{self.recipe}{_SEED}{seed}"
        self._write(folder, chunks, np.uint8, 1 / 255, f"{self.made_from}, seed {seed}", replace=True)
        remove(other for other in folder.parent.glob(MADE) if other != folder)
        return folder

    def loose(self, root: Path | None) -> list[Path]:
        """The two tables."""
        for names in (("train.amat", "test.amat"), self.tables):
            found = [path for name in names if (path := places.find(self.name, name, root))]
            if len(found) == len(names):
                return found
        return []

    def parse(self, files: list[Path], folder: Path, progress: Progress) -> None:
        """Write the cache folder from the tables; no checksum of loose ones was published: their form is checked as they are read."""
        train, test = self._members(self.intact(files[0])) if len(files) == 1 else map(Amat, files)
        side = self.shape[-1]

        def chunks() -> Chunks:
            yield from train.rows(side, self.counts[0] + self.counts[1], progress)
            yield from test.rows(side, self.counts[2], progress)

        self._write(folder, chunks(), np.float32, 1.0, "official", replace=False)

    def cached(self, root: Path | None, *patterns: str) -> Path | None:
        """The newest cache folder of the first of these kinds there is (published before made), or None."""
        return super().cached(root, *(patterns or (PARSED, f"made-{self.recipe}-*")))

    def _members(self, archive: Path) -> tuple[Amat, Amat]:
        """The tables in the archive, at whatever depth."""
        with zipfile.ZipFile(archive) as content:
            members = content.namelist()
        train, test = (next(member for member in members if PurePosixPath(member).match(table)) for table in self.tables)
        return Amat(archive, train), Amat(archive, test)

    def _write(self, folder: Path, chunks: Chunks, dtype: type, scale: float, source: str, replace: bool) -> None:
        cache.write(folder, chunks, counts=self.counts, shape=self.shape, dtype=dtype, scale=scale, source=source, replace=replace)
