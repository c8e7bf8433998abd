"""Old checkpoints: which may go, and removing them. See shelf.py for where they lie."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nftlab.store import Shelved

_OLD = re.compile(r"epoch-\d+\.safetensors|\..+\.part")  # what workers write within an attempt and need for resuming alone


@dataclass(frozen=True)
class Prunable:
    """Files that may go, with their bytes, and folders of jobs that the table does not know: those are only told."""

    files: dict[Path, int]
    unknown: list[Path]

    @property
    def size(self) -> int:
        """Bytes that all files take."""
        return sum(self.files.values())


@dataclass(frozen=True)
class Seen:
    """What lies below a runs folder: the files that may go at all, with their bytes, and the jobs' folders."""

    files: dict[Path, int]
    folders: list[Path]


def prunable(runs: Path, shelved: Mapping[str, Shelved], seen: Seen) -> Prunable:
    """What of the files `seen` need not be kept.

    Of a job that is finished the epochs go, the best weights stay. Of one that is not, the two checkpoints stay that the table
    names, whatever folder it knows them in. A job in training is left to its worker.
    """
    base = runs / "checkpoints"
    files = {}
    for path, size in seen.files.items():
        job, token, name = path.relative_to(base).parts
        if job in shelved and not shelved[job].running and f"{job}/{token}/{name}" not in shelved[job].needed:
            files[path] = size
    return Prunable(files, [folder for folder in seen.folders if folder.name not in shelved])


def see(runs: Path) -> Seen:
    """The epoch checkpoints and unfinished files below the runs folder, and whose they are; links to folders are not followed.

    To be called before the table is read: a checkpoint that is written later is then not among them.
    """
    base = runs / "checkpoints"
    folders = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    return Seen({path: path.lstat().st_size for path in _files(base)}, folders)


def remove(files: Mapping[Path, int]) -> int:
    """Removes files, and folders that are empty then; returns the bytes freed. What cannot be removed stays."""
    freed = 0
    for path, size in files.items():
        with contextlib.suppress(OSError):
            path.unlink()
            freed += size
            path.parent.rmdir()  # the attempt's, if nothing is left in it
            path.parent.parent.rmdir()
    return freed


def _files(base: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(base):
        parts = Path(folder).relative_to(base).parts
        if len(parts) == 2 and parts[1].isdecimal():
            yield from (Path(folder) / name for name in names if _OLD.fullmatch(name))
