"""Where a SQLite file may live."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.errors import DatabaseError
from nftlab.store.place import network_filesystem, refuse_network

MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/nvme0n1 /home/ann/local xfs rw 0 0
//nas/share /mnt/with\040space cifs rw 0 0
nas:/data /mnt/données nfs rw 0 0
lustre@tcp:/fs /scratch lustre rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
encfs /mnt/private fuse.encfs rw 0 0
C:\134 /mnt/c 9p rw,aname=drvfs;path=C:\ 0 0
none /sandbox 9p rw,trans=fd 0 0
tmpfs /home/ann/tmp tmpfs rw 0 0
server:/over /home/ann/tmp nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/x", None),
        ("/home/bob/db", "nfs4"),
        ("/home/ann/local/db", None),
        ("/homework/db", None),
        ("/mnt/with space/db", "cifs"),
        ("/mnt/données/db", "nfs"),
        ("/scratch/me", "lustre"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/private", None),
        ("/mnt/c/Users", "9p"),
        ("/sandbox", None),
        ("/home/ann/tmp", "nfs"),
    ],
)
def test_the_innermost_last_mount_decides(path: str, kind: str | None) -> None:
    assert network_filesystem(Path(path), MOUNTS) == kind


def test_the_refusal_names_what_helps() -> None:
    with pytest.raises(DatabaseError, match=r"nfs4 at /home/bob.*--db sqlite:////tmp/lab.sqlite.*--db postgresql://HOST/nftlab"):
        refuse_network(Path("/home/bob/lab.sqlite"), MOUNTS)
    refuse_network(Path("/data/lab.sqlite"), MOUNTS)
