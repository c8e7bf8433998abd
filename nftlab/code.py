"""Which code this is: the commit of the checkout that nftlab runs from, and what was changed since."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MOST = 2**20  # characters of a diff that are kept: more is no change of code but data beside it
_PACKAGE = Path(__file__).resolve().parent


def identity() -> dict[str, str | None]:
    """`git_sha` of the checkout, and `dirty`: 16 hex digits over the uncommitted changes of the package, None if there are none.

    Where there is no checkout (an installed wheel, a machine without git) `git_sha` is None and `dirty` is over the whole package.
    """
    # a wheel may lie inside somebody else's repository
    sha = _git("rev-parse", "HEAD") if (_PACKAGE.parent / "pyproject.toml").is_file() else None
    if sha is None:
        return {"git_sha": None, "dirty": _digest(sorted(_PACKAGE.rglob("*.py")), b"")}
    changes, new = _git("diff", "--binary", "HEAD", "--", _PACKAGE.name) or b"", _new()
    dirty = _digest([_PACKAGE.parent / os.fsdecode(name) for name in new], changes) if changes or new else None
    return {"git_sha": sha.decode().strip(), "dirty": dirty}


def named(code: Mapping[str, Any]) -> str:
    """What people are told of an identity: `1a2b3c4d5e6f`, `1a2b3c4d5e6f with uncommitted changes`, `0123456789abcdef of no commit`."""
    sha, dirty = code.get("git_sha"), code.get("dirty")
    if sha:
        return f"{str(sha)[:12]}{' with uncommitted changes' if dirty else ''}"
    return f"{dirty} of no commit" if dirty else "of no commit"


def changes() -> str | None:
    """The uncommitted changes of the package as `git diff` tells them, new files included; None if there are none or no commit is known.

    At most `MOST` characters: the last line says what was cut off.
    """
    known = identity()
    if known["git_sha"] is None or known["dirty"] is None:
        return None
    told = [_git("diff", "--binary", "HEAD", "--", _PACKAGE.name) or b""]
    for name in _new():
        told.append(_git("diff", "--binary", "--no-index", "--", os.devnull, os.fsdecode(name), differs=1) or b"")
    text = b"".join(told).decode(errors="replace")
    return text if len(text) <= MOST else f"{text[:MOST]}\n[cut: {len(text) - MOST} more characters were not kept]\n"


def _new() -> list[bytes]:
    """The files of the package that git does not know and does not ignore."""
    listed = _git("ls-files", "--others", "--exclude-standard", "-z", "--", _PACKAGE.name) or b""
    return sorted(filter(None, listed.split(b"\0")))


def _git(*arguments: str, differs: int = 0) -> bytes | None:
    """What git prints, None when it cannot; a hook's GIT_DIR must not send us to another repository.

    `differs`: the exit code by which it says that it found a difference.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", *arguments], cwd=_PACKAGE.parent, env=environment, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in (0, differs) else None


def _digest(files: Iterable[Path], seed: bytes) -> str:
    """16 hex digits over names below the package's folder and contents."""
    found = hashlib.sha256(seed)
    for path in files:
        found.update(os.fsencode(path.relative_to(_PACKAGE.parent)) + b"\0" + _content(path))
    return found.hexdigest()[:16]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # removed meanwhile, or a dangling link
        return b""
