"""Real data for tests: where NFTLAB_DATA says, else unpacked once from the archive beside the repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_UNPACK = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"
_MNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def real_root() -> Path | None:
    """A folder to use as NFTLAB_DATA that holds the whole of MNIST, or None where there is no real data.

    What is unpacked stays in the temporary folder for the next run; several processes may ask at once.
    """
    named = os.environ.get("NFTLAB_DATA")
    if named and _holds_mnist(Path(named)):
        return Path(named)
    root = Path(tempfile.gettempdir()) / "nftlab-test-data"
    if _holds_mnist(root):
        return root
    return _unpacked(root) if _UNPACK.is_file() else None


def _holds_mnist(root: Path) -> bool:
    return all((root / "mnist" / name).is_file() or (root / "mnist" / f"{name}.gz").is_file() for name in _MNIST)


def _unpacked(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _holds_mnist(root):
            with tempfile.TemporaryDirectory(dir=root) as aside:
                subprocess.run([sys.executable, str(_UNPACK), aside, "--only", "mnist"], check=True, capture_output=True)
                shutil.rmtree(root / "mnist", ignore_errors=True)
                (Path(aside) / "mnist").rename(root / "mnist")
    return root
