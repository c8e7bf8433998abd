"""The text tables of Larochelle et al. (2007), read a piece at a time: a row is the pixels in [0, 1] and the label."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from nftlab.data.base import Progress, silent
from nftlab.errors import DataError

_CHUNK = 2000  # rows: 12 MB as numbers, 40 MB as text
_MEND = "replace it by the published file, or delete it"


@dataclass(frozen=True)
class Amat:
    """A table: a file, or a member of a zip archive."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    def rows(self, side: int, expected: int, progress: Progress = silent) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Chunks of images (m, 1, side, side) float32, upright, and labels (m,) int64; `expected` rows in all.

        The files hold images column by column: they are transposed here. Raises DataError when the text is no such table.
        """
        import pandas  # its parser was the fastest measured: 35 µs a row, four times NumPy's

        done = 0
        try:
            with self._open() as text:
                for frame in pandas.read_csv(text, sep=r"\s+", header=None, dtype=np.float32, chunksize=_CHUNK):
                    x, y = self._chunk(frame.to_numpy(), side, done)
                    done += len(y)
                    progress(f"reading {self.path.name}", done, expected)
                    yield x, y
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self} is damaged after row {done} ({error})", _MEND) from error
        if done != expected:
            raise DataError(f"{self} has {done} rows, {expected} expected", _MEND)

    def _open(self) -> IO[bytes]:
        return zipfile.ZipFile(self.path).open(self.member) if self.member else open(self.path, "rb")

    def _chunk(self, table: np.ndarray, side: int, before: int) -> tuple[np.ndarray, np.ndarray]:
        if table.shape[1] != side * side + 1:
            raise ValueError(f"{table.shape[1]} columns, {side * side + 1} expected")
        bad = ~np.isfinite(table).all(axis=1)  # a short row is filled up with NaN
        if bad.any():
            raise ValueError(f"row {before + int(bad.argmax()) + 1} is short or not all numbers")
        labels = table[:, -1].astype(np.int64)
        if (labels != table[:, -1]).any():
            raise ValueError("labels that are not whole numbers")
        return table[:, :-1].reshape(-1, 1, side, side).transpose(0, 1, 3, 2), labels
