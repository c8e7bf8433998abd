"""What every data set offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

import torch

from nftlab import hypers
from nftlab.data.sparse import SparseRows
from nftlab.data.task import Split, Task, digest
from nftlab.errors import DataError, UsageError

Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much (0: unknown)
Status = Literal["embedded", "ready", "made", "missing"]

_OVERSHOOT = 1.0  # images are in [0, 1]; this is wide enough for any interpolation and still catches 0 … 255


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class Dataset(ABC):
    """One data set. `root` is the folder above the data set's own; by default NFTLAB_DATA or the user's cache."""

    name: ClassVar[str]
    about: ClassVar[str]
    licence: ClassVar[str]
    counts: tuple[int, int, int]  # rows of the training, validation and test split
    commands: ClassVar[tuple[str, ...]] = ()  # of "make" and "get" those that bring it, the quicker first; none when it is embedded

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example. Raises DataError when `nftlab.hypers` does not know the data set."""
        return self._known.shape

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0 … classes − 1. Raises DataError when `nftlab.hypers` does not know the data set."""
        return self._known.classes

    @property
    def _known(self) -> hypers.DatasetShape:
        if self.name not in hypers.DATASETS:
            hint = f'add "{self.name}": DatasetShape(shape of one example, classes) there, at the same place'
            raise DataError(f"DATASETS in nftlab/data/__init__.py has {self.name!r}, DATASETS in nftlab/hypers.py has no line for it", hint)
        return hypers.DATASETS[self.name]

    @abstractmethod
    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU, the same every time. Raises DataError naming the command that mends it."""

    @abstractmethod
    def status(self, root: Path | None = None) -> Status:
        """Whether it is here, by looking for files only: part of a library, as published, made from another, or not at all."""

    @abstractmethod
    def where(self, root: Path | None = None) -> Path | None:
        """The folder it is read from, or None when it is embedded or missing."""

    def get(self, root: Path | None = None, progress: Progress = silent) -> list[Path]:
        """Fetch and check the published files; returns those that were fetched (none where there is nothing to fetch).

        Raises DataError when they cannot be reached or are not the published ones, DiskError when they cannot be written.
        """
        return []

    def make(self, root: Path | None = None, seed: int = 0, progress: Progress = silent) -> Path:
        """Make the data set from another one by its published recipe; returns the folder. Raises UsageError where there is none."""
        raise UsageError(f"there is no recipe to make {self.name} by", self.mend(root))

    def made(self, root: Path | None = None) -> str | None:
        """The source of what `make` left here and would replace, None where it left nothing."""
        return None

    def verify(self, root: Path | None = None, progress: Progress = silent) -> list[str]:
        """Read everything and check it; returns what was checked, a line each. Raises DataError naming what is wrong."""
        return self.check(self.load(root, progress), self.mend(root))

    def mend(self, root: Path | None = None) -> str | None:
        """What to do when it is damaged, as the hint of a DataError; None where nothing can be."""
        return None

    def expected(self, task: Task) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """Rows of the three splits, of "a part" as many as there are, and shape of an example that a task of this data set is to have."""
        here = (len(task.train), len(task.valid), len(task.test))
        return (here if task.source.startswith("a part") else self.counts), self.shape

    def check(self, task: Task, mend: str | None = None) -> list[str]:
        """Check counts, shapes, types, value and label ranges and the content hash of a task of this data set."""
        lines = [f"{self.name}: {task.source}", *self.check_form(task, mend)]
        for part, split in _splits(task):
            if problem := _values(split, task):
                raise DataError(f"{self.name}, {part} split: {problem}", mend)
        if (found := digest(task.train, task.valid, task.test)) != task.sha256:
            raise DataError(f"{self.name}: the content's sha256 is {found}, {task.sha256} when it was written", mend)
        return [*lines, f"sha256: {task.sha256}"]

    def check_form(self, task: Task, mend: str | None = None) -> list[str]:
        """Check what costs next to nothing, so that every load can: counts, shapes, types and label ranges; returns a line per split."""
        lines = []
        counts, shape = self.expected(task)
        if (task.shape, task.classes) != (shape, self.classes):
            told = f"a task of shape {task.shape} and {task.classes} classes, {shape} and {self.classes} expected"
            raise DataError(f"{self.name}: {told}", mend or self._said)
        for (part, split), count in zip(_splits(task), counts, strict=True):
            if problem := self._form(split, (count, *shape)):
                raise DataError(f"{self.name}, {part} split: {problem}", mend or self._said)
            lines.append(f"{part}: {count} × {shape} {str(split.x.dtype).removeprefix('torch.')}, labels 0–{self.classes - 1}")
        return lines

    @property
    def _said(self) -> str:
        """Where what is expected stands, for who wrote a data set of their own."""
        return f"counts are those of {type(self).__name__}, shape and classes those of DATASETS in nftlab/hypers.py"

    def _form(self, split: Split, shape: tuple[int, ...]) -> str | None:
        """What is wrong with the shapes, types or labels of a split, or None."""
        if tuple(split.x.shape) != shape or tuple(split.y.shape) != shape[:1]:
            return f"shapes {tuple(split.x.shape)} and {tuple(split.y.shape)}, {shape} and {shape[:1]} expected"
        if split.x.dtype not in (torch.uint8, torch.float32) or split.y.dtype != torch.int64:
            return f"types {split.x.dtype} and {split.y.dtype}, uint8 or float32 and int64 expected"
        if not len(split.y):
            return "no rows"
        labels = split.y.min().item(), split.y.max().item()
        if labels[0] < 0 or labels[1] >= self.classes:
            return f"labels {labels[0]} … {labels[1]}, 0 … {self.classes - 1} expected"
        return None


def _splits(task: Task) -> Iterator[tuple[str, Split]]:
    yield from (("train", task.train), ("valid", task.valid), ("test", task.test))


def _values(split: Split, task: Task) -> str | None:
    """What is wrong with the values of a split, or None."""
    values = split.x.values if isinstance(split.x, SparseRows) else split.x
    low, high = values.min().item() * task.scale, values.max().item() * task.scale  # NaN if anything is
    if not abs(low) + abs(high) < float("inf"):
        return "values that are not finite numbers"
    if len(task.shape) == 3 and not -_OVERSHOOT <= low <= high <= 1 + _OVERSHOOT:
        return f"values {low:.3g} … {high:.3g}, 0 … 1 expected"
    return None
