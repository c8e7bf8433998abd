"""Where a SQLite file may live: on a local disk only.

Its write-ahead log is shared memory between processes, and locks that a network file system hands out late or not at all
let two of them write at once.
"""

from __future__ import annotations

import re
from pathlib import Path

from nftlab.errors import DatabaseError

_NETWORK = re.compile(
    r"afs|beegfs|ceph|cifs|coda|fhgfs|glusterfs|gpfs|lustre|nfs4?|ocfs2|orangefs|panfs|pvfs2|smb[23]?|smbfs|wekafs"
    r"|fuse\.(ceph|cephfs|gcsfuse|glusterfs|juicefs|lustre|rclone|s3fs|sshfs)"
)


def network_filesystem(path: Path, mounts: str) -> str | None:
    """The kind of network file system that holds `path`, or None if its disk is local.

    `mounts` is the text of /proc/mounts. 9p counts only as Windows' drives inside WSL: sandboxes and virtual machines use it
    for disks that no other machine writes.
    """
    best, kind = "", None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        folder = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1])  # a space is written \040
        if path.is_relative_to(folder) and len(folder) >= len(best):
            best, kind = folder, _network_kind(fields[2], fields[3])
    return kind


def _network_kind(kind: str, options: str) -> str | None:
    windows = kind == "9p" and "aname=drvfs" in options
    return kind if _NETWORK.fullmatch(kind) or windows else None


def refuse_network(path: Path, mounts: str | None = None, hint: str | None = None) -> None:
    """Raise DatabaseError when the file's folder (or the nearest one that exists) is on a network file system."""
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return  # not Linux: nothing to read the answer from
    folder = path.parent.resolve()
    if kind := network_filesystem(folder, mounts):
        raise DatabaseError(
            f"{path} is on a network file system ({kind} at {folder}), where a database loses writes",
            hint or f"use a local disk (--db sqlite:////tmp/{path.name}) or Postgres for several machines (--db postgresql://HOST/nftlab)",
        )
