"""Which code this is: the commit of the checkout that nftlab runs from, and what was changed since."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST = 2**20  # characters of a diff that are kept: more is no change of code but data beside it
_PACKAGE = Path(__file__).resolve().parent


def identity() -> dict[str, str | None]:
    """`git_sha` of the checkout, and `dirty`: 16 hex digits over the uncommitted changes of the package, None if there are none.

    Both are None where there is no checkout: an installed wheel, or a machine without git.
    """
    if not (_PACKAGE.parent / "pyproject.toml").is_file():  # a wheel may lie inside somebody else's repository
        return {"git_sha": None, "dirty": None}
    sha = _git("rev-parse", "HEAD")
    if sha is None:
        return {"git_sha": None, "dirty": None}
    changes = hashlib.sha256(_git("diff", "--binary", "HEAD", "--", _PACKAGE.name) or b"")
    for name in _new():
        changes.update(name + b"\0" + _content(_PACKAGE.parent / os.fsdecode(name)))
    clean = hashlib.sha256().digest() == changes.digest()
    return {"git_sha": sha.decode().strip(), "dirty": None if clean else changes.hexdigest()[:16]}


def named(code: Mapping[str, Any]) -> str:
    """What people are told of an identity: `1a2b3c4d5e6f`, `1a2b3c4d5e6f with uncommitted changes`, or `of no commit`."""
    sha = code.get("git_sha")
    return f"{str(sha)[:12]}{' with uncommitted changes' if code.get('dirty') else ''}" if sha else "of no commit"


def changes() -> str | None:
    """The uncommitted changes of the package as `git diff` tells them, new files included; None if there are none.

    At most `MOST` characters: the last line says what was cut off.
    """
    if identity()["dirty"] is None:
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


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # removed meanwhile, or a dangling link
        return b""
