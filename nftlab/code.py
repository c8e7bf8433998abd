"""Which code this is: the commit of the checkout that nftlab runs from, and a hash of what was changed since."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

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
    changes = hashlib.sha256(_git("diff", "HEAD", "--", _PACKAGE.name) or b"")
    new = sorted((_git("ls-files", "--others", "--exclude-standard", "-z", "--", _PACKAGE.name) or b"").split(b"\0"))
    for name in filter(None, new):
        changes.update(name + b"\0" + _content(_PACKAGE.parent / os.fsdecode(name)))
    clean = hashlib.sha256().digest() == changes.digest()
    return {"git_sha": sha.decode().strip(), "dirty": None if clean else changes.hexdigest()[:16]}


def _git(*arguments: str) -> bytes | None:
    """What git prints, None when it cannot; a hook's GIT_DIR must not send us to another repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", *arguments], cwd=_PACKAGE.parent, env=environment, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # removed meanwhile, or a dangling link
        return b""
