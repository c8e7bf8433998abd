"""Checkpoints on disk: one safetensors file each, written whole or not at all.

The meta data travel as JSON inside the file, so that weights and what they are cannot part. A file is written aside,
synced and renamed; whoever opens a name finds the old content or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nftlab.aside import aside
from nftlab.errors import DataError, DiskError

KEPT = 2  # epoch checkpoints per folder: the newest, and the one before should it prove unreadable
_META = "nftlab"


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and what they are (JSON)."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def save(folder: Path | str, checkpoint: Checkpoint) -> tuple[Path, str]:
    """Write `epoch-NNNNNN.safetensors` after `meta["epoch"]`, keep the last two; returns its path and sha256.

    Raises DiskError when the disk is full, read-only or forbidden; the checkpoints before are then untouched.
    """
    path = Path(folder) / f"epoch-{checkpoint.meta['epoch']:06d}.safetensors"
    sha = _write(path, checkpoint)
    with _disk(path):
        for old in sorted(path.parent.glob("epoch-*.safetensors"))[:-KEPT]:
            if old != path:
                old.unlink(missing_ok=True)
    return path, sha


def save_best(folder: Path | str, checkpoint: Checkpoint) -> tuple[Path, str]:
    """Write `best.safetensors`, in place of the one before; returns its path and sha256. Raises DiskError."""
    path = Path(folder) / "best.safetensors"
    return path, _write(path, checkpoint)


def load(path: Path | str, sha256: str | None = None) -> Checkpoint:
    """Read a checkpoint back; DataError when it is missing, cut short, or not the content that `sha256` names."""
    import safetensors
    import safetensors.torch

    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"checkpoint {path} is not what was written: its sha256 differs")
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return Checkpoint(tensors, dict(json.loads(header["__metadata__"][_META])))
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"checkpoint {path} is corrupt or cut short: {error}") from error


def _write(path: Path, checkpoint: Checkpoint) -> str:
    import safetensors.torch

    content = safetensors.torch.save(checkpoint.tensors, {_META: json.dumps(checkpoint.meta)})
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path, ".part") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    return hashlib.sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    """A rename lasts through a power cut only once its folder is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "free space there or give another folder that can be written (NFTLAB_RUNS)"
        raise DiskError(f"checkpoint {path} cannot be written: {error.strerror or error}", hint) from error
