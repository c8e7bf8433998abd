"""Which report file a name means: one in ./reports, else one that ships with nftlab."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Final

from nftlab.errors import NotFoundError, nearest
from nftlab.resources import shipped

FOLDER: Final = "reports"
OUT = "out"  # reports/out holds what was rendered
PAPER: Final = "paper.yaml"  # what a paper's folder holds, not a report
_SUFFIXES = (".yaml", ".yml")


def reports() -> list[str]:
    """Names of the reports in ./reports and of those that ship with nftlab, such as `nft/quick`."""
    return sorted({name for root in roots() for name in _names(root)})


def find_report(given: str | Path) -> tuple[str, Path]:
    """The name and file of a report: a path, or a name in ./reports, else among the shipped ones.

    `nft/quick`, `nft/quick.yaml` and `reports/nft/quick.yaml` name the same report. Raises NotFoundError with the nearest
    and the known names.
    """
    path = Path(given)
    if path.suffix in _SUFFIXES and os.path.isfile(path):  # Path.is_file raises where one may not look
        return _name(path), path
    inside = Path(*path.parts[1:]) if path.parts[:1] == (FOLDER,) else path
    bare = inside.with_suffix("") if inside.suffix in _SUFFIXES else inside
    if bare.name and not bare.is_absolute() and ".." not in bare.parts:
        for root in roots():
            for suffix in _SUFFIXES:
                file = root / bare.with_name(bare.name + suffix)
                if os.path.isfile(file):
                    return bare.as_posix(), file
    known = reports()
    raise NotFoundError(f"no report {str(given)!r}{nearest(bare.as_posix(), known)}", f"known are: {', '.join(known) or 'none'}")


def roots() -> list[Path]:
    """Where reports and papers are looked for: ./reports, then what ships with nftlab."""
    return [Path(FOLDER), shipped(FOLDER)]


def _names(root: Path) -> list[str]:
    files = [file.relative_to(root) for suffix in _SUFFIXES for file in root.rglob(f"*{suffix}")]
    return [file.with_suffix("").as_posix() for file in files if file.parts[0] != OUT and file.name != PAPER]


def _name(path: Path) -> str:
    """What a file is called: its path below the last folder `reports`, else its own name; without suffix."""
    parts = path.resolve().with_suffix("").parts
    if FOLDER in parts[:-1]:
        return "/".join(parts[len(parts) - parts[::-1].index(FOLDER) :])
    return parts[-1]
