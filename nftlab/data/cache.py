"""Data sets that took work to get, kept as memory-mapped arrays: a folder that is there whole or not at all.

A cache folder holds `x.npy` (all rows of training, validation and test split in this order; sparse rows as `starts.npy`,
`columns.npy` and `values.npy`), `y.npy` and `meta.json`. Its name says what it was read or made from, so a changed source is
another name and never a stale hit.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import tokenize
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nftlab.data.sparse import SparseRows
from nftlab.data.task import Split, cut, digest
from nftlab.errors import DataError, DiskError

_SPARSE = ("starts", "columns", "values")
_ABANDONED = 3600.0  # seconds after which a half-written folder belongs to nobody: writers write all the time


@dataclass(frozen=True)
class Meta:
    """What a cache folder says of itself; `sha256` is `task.digest` of its splits."""

    source: str
    scale: float
    counts: tuple[int, int, int]
    sha256: str


def write(
    folder: Path,
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    counts: tuple[int, int, int],
    shape: tuple[int, ...],
    dtype: type,
    scale: float,
    source: str,
    replace: bool = False,
) -> None:
    """Write the rows that come in chunks (x (m, *shape) of `dtype`, y (m,)) aside, then rename to `folder`.

    If another process wrote the same folder meanwhile, its work is kept, unless `replace`. Raises DiskError when
    the disk is full or read-only, DataError when the rows are not `sum(counts)` or leave a split without any.
    """
    _enough(folder, counts)
    with _aside(folder, replace) as aside:
        _write_rows(aside, chunks, (sum(counts), *shape), np.dtype(dtype))
        _write_meta(aside, counts, scale, source)


def write_sparse(folder: Path, x: SparseRows, y: np.ndarray, *, counts: tuple[int, int, int], source: str) -> None:
    """Write sparse rows (n, width) and their labels (n,) as `write` does dense ones, without replacing any. Raises the same."""
    if not len(x) == len(y) == sum(counts):
        raise DataError(f"{folder.name}: {len(x)} rows and {len(y)} labels, {sum(counts)} expected")
    _enough(folder, counts)
    with _aside(folder, replace=False) as aside:
        for name in _SPARSE:
            np.save(aside / f"{name}.npy", getattr(x, name).numpy())
        np.save(aside / "y.npy", y.astype(np.int64))
        _write_meta(aside, counts, 1.0, source, width=x.width)


def read(folder: Path, mend: str) -> tuple[tuple[Split, Split, Split], Meta]:
    """The splits of a cache folder, memory-mapped copy-on-write, and what it says of itself.

    Raises DataError with `mend` as its hint when the folder is damaged.
    """
    try:
        fields = json.loads((folder / "meta.json").read_text())
        first, second, third = fields["counts"]
        meta = Meta(fields["source"], float(fields["scale"]), (first, second, third), fields["sha256"])
        x, y = _rows(folder, fields.get("width")), np.load(folder / "y.npy")
    except (OSError, ValueError, KeyError, TypeError, EOFError, SyntaxError, tokenize.TokenError) as error:  # the last two: NumPy's headers
        raise DataError(f"{folder} is damaged ({error})", mend) from error
    if not len(x) == len(y) == sum(meta.counts):
        raise DataError(f"{folder} is damaged: {len(x)} examples and {len(y)} labels, {sum(meta.counts)} expected", mend)
    return cut(x, y, meta.counts), meta


def source(folder: Path) -> str:
    """Where a folder says that its examples come from; the folder's name where it is damaged."""
    try:
        return str(json.loads((folder / "meta.json").read_text())["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def _rows(folder: Path, width: int | None) -> np.ndarray | SparseRows:
    """All rows of a folder, sparse ones `width` wide."""
    # Mode "c": torch wants memory it may write; what is written stays private and no page is copied before.
    if width is None:
        return np.load(folder / "x.npy", mmap_mode="c")
    starts, columns, values = (torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in _SPARSE)
    return SparseRows.of(starts, columns, values, width)


def _write_meta(folder: Path, counts: tuple[int, int, int], scale: float, source: str, width: int | None = None) -> None:
    """What the folder says of itself, once all else is in it."""
    splits = cut(_rows(folder, width), np.load(folder / "y.npy"), counts)
    meta = {"source": source, "scale": scale, "counts": counts, "sha256": digest(*splits)}
    (folder / "meta.json").write_text(json.dumps(meta if width is None else {**meta, "width": width}, indent=1) + "\n")


def _enough(folder: Path, counts: tuple[int, int, int]) -> None:
    """Raises DataError when a split would be empty: what a few rows of a file come to."""
    if min(counts) < 1:
        raise DataError(f"{folder.parent.name}: too few rows, {' + '.join(map(str, counts))} to train, validate and test on")


@contextlib.contextmanager
def _aside(folder: Path, replace: bool) -> Iterator[Path]:
    """A new folder beside `folder` that takes its name when the block ends well and vanishes when it does not."""
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _sweep(folder.parent)
        aside.mkdir(parents=True)
        yield aside
        _renamed(aside, folder, replace)
    except OSError as error:
        raise DiskError(f"cannot write {folder} ({error.strerror or error})", "free the disk, or set NFTLAB_DATA to another") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _renamed(aside: Path, folder: Path, replace: bool) -> None:
    """Rename `aside` to `folder`. What is to be replaced is renamed too before it is removed, so that nobody reads half of it."""
    old = aside.with_suffix(".old.part")
    if replace:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, old)
    try:
        os.rename(aside, folder)
    except OSError:
        if not folder.is_dir():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what killed writers left behind: folders in which nothing was written for long."""
    for left in parent.glob(".*.part"):
        with contextlib.suppress(OSError):  # a file that is being fetched, or another process has done with it
            if time.time() - max(path.stat().st_mtime for path in (left, *left.iterdir())) > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _write_rows(folder: Path, chunks: Iterable[tuple[np.ndarray, np.ndarray]], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Stream rows to x.npy and y.npy; written, not memory-mapped, so that a full disk is an error and not a signal."""
    labels: list[np.ndarray] = []
    with open(folder / "x.npy", "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for x, y in chunks:
            file.write(np.ascontiguousarray(x, dtype=dtype).data)
            labels.append(y)
        file.flush()
        os.fsync(file.fileno())
    found = sum(map(len, labels))
    if found != shape[0]:
        raise DataError(f"{folder.name}: {found} rows, {shape[0]} expected")
    np.save(folder / "y.npy", np.concatenate(labels).astype(np.int64))
