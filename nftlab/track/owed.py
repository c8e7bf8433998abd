"""Whose copies are not finished: an empty file per job in training, which outlives a worker that is killed."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


class Owed:
    """The jobs that trackers are owed something of, as files `folder`/KEY.PID@HOST.

    A job whose worker ended it and was killed a moment later is done for the table, and nobody would train it again; by its file
    the next worker on this host sees that its tracker lacks the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._host = folder, socket.gethostname()

    def note(self, key: str) -> None:
        """A job begins to train here; whoever had it before owes nothing more. A disk that is full is no reason not to train."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._mine(key).touch()
            for note in self._folder.glob(f"{key}.*"):
                if note != self._mine(key):
                    note.unlink(missing_ok=True)

    def settle(self, key: str) -> None:
        """The job's tracker has all that this worker had."""
        with contextlib.suppress(OSError):
            self._mine(key).unlink(missing_ok=True)

    def inherit(self) -> list[str]:
        """The jobs, by key, whose worker on this host is gone: from now on they are owed by this one, and by no other."""
        taken = []
        for note in self._folder.glob(f"*@{self._host}"):
            key, _, owner = note.name.partition(".")
            if not _lives(int(owner.partition("@")[0])):
                with contextlib.suppress(OSError):  # another worker was faster
                    note.rename(self._mine(key))
                    taken.append(key)
        return taken

    def _mine(self, key: str) -> Path:
        return self._folder / f"{key}.{os.getpid()}@{self._host}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True
