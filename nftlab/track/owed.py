"""Whose copies are not finished: an empty file per job in training, which outlives a worker that is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

PATIENCE = 20.0  # seconds to wait for another worker, which may hang


class Owed:
    """The jobs that trackers are owed something of, as files `folder`/KEY.PID@HOST.

    A job whose worker ended it and was killed a moment later is done for the table, and nobody would train it again; by its file
    the next worker on this host sees that its tracker lacks the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._host = folder, socket.gethostname()

    def note(self, key: str) -> None:
        """A job begins to train here. A disk that is full is no reason not to train."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._mine(key).touch()
            os.utime(self._mine(key), ns=(time.time_ns(), time.time_ns()))  # the kernel's own stamps are milliseconds apart

    def take_over(self, key: str, patience: float = PATIENCE) -> None:
        """Wait, so many seconds at most, until living workers on this host that had the job before have closed its copy.

        A job that one worker hands back may begin on the next while the first still copies: two would write one run at once.
        A stopped one (SIGSTOP) copies nothing and is not waited for.
        Whoever had it before, anywhere, owes nothing more.
        """
        deadline = time.monotonic() + patience
        with contextlib.suppress(OSError):
            while any(note in self._here(key) and _runs(note) for note in self._earlier(key)) and time.monotonic() < deadline:
                time.sleep(0.1)
            for note in self._earlier(key):
                note.unlink(missing_ok=True)

    def settle(self, key: str) -> None:
        """The job's tracker has all that this worker had."""
        with contextlib.suppress(OSError):
            self._mine(key).unlink(missing_ok=True)

    def orphans(self) -> set[str]:
        """The jobs, by key, that a worker on this host owes which is gone."""
        return {note.name.partition(".")[0] for note in self._here("*") if not _lives(note)}

    def adopt(self, key: str) -> bool:
        """Whether an orphan is from now on owed by this worker, and by no other."""
        for note in self._here(key):
            if not _lives(note):
                with contextlib.suppress(OSError):  # another worker was faster
                    note.rename(self._mine(key))
                    return True
        return False

    def _mine(self, key: str) -> Path:
        return self._folder / f"{key}.{os.getpid()}@{self._host}"

    def _here(self, key: str) -> list[Path]:
        """The notes of this host's workers."""
        return list(self._folder.glob(f"{key}.*@{self._host}"))

    def _earlier(self, key: str) -> list[Path]:
        """Others' notes, on any host, from before ours."""
        mine, found = self._mine(key), []
        ours = mine.stat().st_mtime_ns
        for note in self._folder.glob(f"{key}.*"):
            with contextlib.suppress(FileNotFoundError):  # settled by now
                if note != mine and note.stat().st_mtime_ns < ours:
                    found.append(note)
        return found


def _lives(note: Path) -> bool:
    """Whether the process of this host whose note it is still exists."""
    try:
        os.kill(_process(note), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def _runs(note: Path) -> bool:
    """Whether it exists and is not stopped, as far as the system tells."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{_process(note)}/stat").read_text().rpartition(")")[2].split()[0] not in "Tt"
    return _lives(note)


def _process(note: Path) -> int:
    return int(note.name.partition(".")[2].partition("@")[0])
