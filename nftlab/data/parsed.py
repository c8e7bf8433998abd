"""Data sets read from files that are parsed once, to a cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from nftlab.data import cache, places
from nftlab.data.base import Dataset, Progress, Status, silent
from nftlab.data.task import Task
from nftlab.errors import DataError

PARSED, MADE = "parsed-*", "made-*"  # names of cache folders


class Parsed(Dataset):
    """A data set whose files are parsed to a cache, which counts for as long as their names, sizes and times of change are the same.

    The cache still counts when the files are removed.
    """

    commands: ClassVar[tuple[str, ...]] = ("get",)
    parser: ClassVar[int] = 1  # raised when the same files are parsed to something else

    @abstractmethod
    def files(self, root: Path | None) -> list[Path]:
        """The files (or folders) to read, none where one is missing."""

    @abstractmethod
    def parse(self, files: list[Path], folder: Path, progress: Progress) -> None:
        """Write the cache folder. Raises DataError when the files are damaged."""

    @abstractmethod
    def ways(self) -> str:
        """The command that brings it, for who has nothing."""

    def status(self, root: Path | None = None) -> Status:
        """ "ready" with the files or their cache, else "missing"."""
        return "ready" if self.files(root) or self.cached(root, PARSED) else "missing"

    def where(self, root: Path | None = None) -> Path | None:
        """The folder of the files or of the cache, or None when there is neither."""
        files = self.files(root)
        return files[0].parent if files else self.cached(root)

    def mend(self, root: Path | None = None) -> str:
        """The command that brings it anew, whichever way it is here."""
        return f"run `nftlab data get {self.name}`"

    def made(self, root: Path | None = None) -> str | None:
        """What the newest folder that `make` left says of itself; its name where it is damaged."""
        folder = self.cached(root, MADE)
        return cache.source(folder) if folder else None

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU, memory-mapped; parses the files at the first call.

        Raises DataError when there is nothing to read, or what there is is damaged.
        """
        files = self.files(root)
        folder = self._parsed(files, root, progress) if files else self.cached(root)
        return self.task(folder, root)

    def task(self, folder: Path | None, root: Path | None) -> Task:
        """What a cache folder holds. Raises DataError when there is none, or it is damaged."""
        if folder is None:
            raise DataError(f"{self.name} is not here", self.ways())
        splits, meta = cache.read(folder, self.mend(root))
        shape = tuple(splits[0].x.shape[1:])
        return Task(self.name, shape, self.classes, *splits, scale=meta.scale, source=meta.source, sha256=meta.sha256)

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Parse the files anew; fetches none. Raises DataError when they are not here."""
        for parent in places.folders(self.name, root):
            remove(places.matching(parent, PARSED))
        self.load(root, progress)
        return []

    def cached(self, root: Path | None, *patterns: str) -> Path | None:
        """The newest cache folder of the first of these kinds there is, or None."""
        for pattern in patterns or (PARSED,):
            for parent in places.folders(self.name, root):
                if found := places.matching(parent, pattern):
                    return found[-1]
        return None

    def _parsed(self, files: list[Path], root: Path | None, progress: Progress) -> Path:
        """The cache folder of the files as they are now, written if need be; others of its kind are out of date by then and go."""
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        name = PARSED.replace("*", hashlib.sha256(json.dumps([self.parser, *stats]).encode()).hexdigest()[:16])
        if folder := self.cached(root, name):
            return folder
        folder = places.writable(self.name, root) / name
        self.parse(files, folder, progress)
        remove(other for other in folder.parent.glob(PARSED) if other != folder)
        return folder


def remove(folders: Iterable[Path]) -> None:
    """Remove these folders with all that is in them."""
    for folder in list(folders):
        shutil.rmtree(folder, ignore_errors=True)
