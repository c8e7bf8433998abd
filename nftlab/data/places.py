"""Where data live: the root named by NFTLAB_DATA, and the user's own cache when that cannot be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nftlab.errors import DiskError


def user_root() -> Path:
    """The folder for data in the user's cache, as the operating system has it."""
    import platformdirs  # here: a machine with torch and numpy alone can still train

    return Path(platformdirs.user_cache_dir("nftlab", appauthor=False)) / "data"


def default_root() -> Path:
    """The folder that NFTLAB_DATA names, else the one in the user's cache."""
    named = os.environ.get("NFTLAB_DATA")
    return Path(named).expanduser() if named else user_root()


def folders(name: str, root: Path | None = None) -> list[Path]:
    """The folders in which files of a data set are looked for, in order; none need exist."""
    return list(dict.fromkeys([(root or default_root()) / name, user_root() / name]))


def find(name: str, file: str, root: Path | None = None) -> Path | None:
    """The first place where a file of a data set is, or None."""
    return next((folder / file for folder in folders(name, root) if (folder / file).is_file()), None)


def writable(name: str, root: Path | None = None) -> Path:
    """The first folder of a data set that can be written, created if need be. Raises DiskError when none can."""
    failures = []
    for folder in folders(name, root):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # asking the disk is surer than reading permission bits
                return folder
        except OSError as error:
            failures.append(f"{folder} ({error.strerror})")
    raise DiskError(f"cannot write {' or '.join(failures)}", "set NFTLAB_DATA to a folder you can write")
