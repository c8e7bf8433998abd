"""Data sets that are published as one archive with a checksum."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from nftlab.data import places
from nftlab.data.base import Progress, silent
from nftlab.data.fetch import checksum, fetch, kind
from nftlab.data.parsed import Parsed
from nftlab.errors import DataError


class Published(Parsed):
    """A data set read from the archive that is published or from what is unpacked from it.

    `counts`, `urls` and `published` are those of the published data set; a set in the same format may name its own.
    """

    counts: tuple[int, int, int]
    archive: ClassVar[str]
    published: ClassVar[str]  # checksum (hex) of the archive
    megabytes: ClassVar[int]  # of the archive
    url: ClassVar[str]
    unpacked: ClassVar[str]  # what may lie there instead of the archive, in words

    def __init__(
        self, counts: tuple[int, int, int] | None = None, urls: tuple[str, ...] | None = None, published: str | None = None
    ) -> None:
        self.counts = counts or type(self).counts
        self.urls = (self.url,) if urls is None else urls
        self.checksum = published or self.published

    @abstractmethod
    def loose(self, root: Path | None) -> list[Path]:
        """The unpacked files (or folders) in the order they are parsed, none where one is missing."""

    def files(self, root: Path | None) -> list[Path]:
        """The unpacked files, else the archive, else none."""
        archive = places.find(self.name, self.archive, root)
        return self.loose(root) or ([archive] if archive else [])

    def ways(self) -> str:
        """The command that brings it, for who has nothing."""
        return f"run `nftlab data get {self.name}` ({self.megabytes} MB)"

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Download the published archive, unless its files are here, and parse it anew."""
        fetched = []
        archive = places.find(self.name, self.archive, root)
        if not self.loose(root) and not (archive and checksum(archive, self.checksum) == self.checksum):
            path = archive or places.writable(self.name, root) / self.archive
            try:
                fetch(self.urls, path, self.checksum, progress, most=2 * self.megabytes * 10**6)
            except DataError as error:
                hint = f"put {self.archive} or {self.unpacked} under {path.parent} yourself, or set NFTLAB_DATA"
                raise DataError(str(error), hint) from error
            fetched.append(path)
        super().get(root, progress)
        return fetched

    def intact(self, archive: Path) -> Path:
        """The archive, its checksum compared. Raises DataError when it is another."""
        if (found := checksum(archive, self.checksum)) != self.checksum:
            raise DataError(f"{archive} is damaged: its {kind(found)} is {found}, published {self.checksum}", self.mend())
        return archive
