"""Where the sweep files, report files and migrations that come with nftlab are: beside the package in a checkout,
inside it (`nftlab/_shipped`) when it was installed from a wheel.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from nftlab.errors import NotFoundError, nearest

Kind = Literal["sweeps", "reports", "db"]
_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Kind) -> Path:
    """The folder of what nftlab ships of one kind."""
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    return _PACKAGE / "_shipped" / kind


def find_sweep(path: str | Path) -> Path:
    """The sweep file or folder that a user names: in the current folder, else among the shipped ones.

    `sweeps/nft/quick.yaml`, `nft/quick.yaml` and `nft/quick` name the same shipped file from any folder.
    Raises NotFoundError naming the nearest shipped sweep.
    """
    given = str(path)
    if given and os.path.exists(given):  # False, where Path.exists raises, for what can be no path
        return Path(given)
    inside = re.sub(r"^sweeps(/|$)", "", given)
    if given and not inside.startswith("/") and ".." not in inside.split("/"):
        for suffix in ("", ".yaml", ".yml"):
            if os.path.exists(found := f"{shipped('sweeps')}/{inside}{suffix}"):
                return Path(found)
    stem = re.sub(r"\.ya?ml$", "", inside)
    raise NotFoundError(f"no sweep file or folder {given[:200]!r}{nearest(stem, shipped_sweeps())}")


def as_named(path: str) -> str:
    """A sweep file's path as any user may write it: a shipped one by its name, `sweeps/nft/quick.yaml`, wherever it lies."""
    root = shipped("sweeps").parent
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def shipped_sweeps() -> list[str]:
    """Names of the shipped sweep files as `find_sweep` takes them, such as `nft/quick`."""
    root = shipped("sweeps")
    return sorted(file.relative_to(root).with_suffix("").as_posix() for file in root.rglob("*.y*ml"))
