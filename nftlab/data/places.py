"""Where data live: the root named by NFTLAB_DATA, the user's own cache when that cannot be written, and what packages ship."""

from __future__ import annotations

import glob
import importlib.util
import os
import tempfile
from pathlib import Path

from nftlab.errors import DataError, DiskError


def user_root() -> Path:
    """The folder for data in the user's cache, as the operating system has it."""
    import platformdirs  # here: a machine with torch and numpy alone can still train

    return Path(platformdirs.user_cache_dir("nftlab", appauthor=False)) / "data"


def default_root() -> Path:
    """The folder that NFTLAB_DATA names, else the one in the user's cache."""
    named = os.environ.get("NFTLAB_DATA")
    return Path(os.path.expanduser(named)) if named else user_root()


def folders(name: str, root: Path | None = None) -> list[Path]:
    """The folders in which files of a data set are looked for, in order; none need exist."""
    return list(dict.fromkeys([(root or default_root()) / name, user_root() / name]))


def find(name: str, file: str, root: Path | None = None) -> Path | None:
    """The first place where a file of a data set is, or None. A folder that cannot be looked into holds nothing."""
    return next((folder / file for folder in folders(name, root) if os.path.isfile(folder / file)), None)


def matching(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds under names of this pattern, the oldest first; nothing when it cannot be looked into."""

    def changed(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:  # another process has just removed it
            return 0.0

    return sorted((folder / name for name in glob.glob(pattern, root_dir=folder)), key=changed)


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


def installed(file: str) -> Path:
    """The path of `package/file`, found without importing the package: that takes seconds. Raises DataError without the package."""
    package, _, inside = file.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise DataError(f"the files of {package} are not installed", "install the versions of constraints.txt")
    return Path(found.origin).parent / inside
