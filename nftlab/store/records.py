"""What the queue hands out and takes back: plain values, nothing of the database in them."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import dataclass
from typing import Any

from nftlab.configuration import completed


@dataclass(frozen=True)
class Worker:
    """Who works: a name unique among the live workers, its host and process id."""

    name: str
    host: str
    pid: int

    @classmethod
    def me(cls) -> Worker:
        """The person or process at this keyboard, as transitions name it."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a number that no name belongs to, as in containers
            name = str(os.getuid())
        return cls(name, socket.gethostname(), os.getpid())


@dataclass(frozen=True)
class Claim:
    """A job in the hands of one worker: `token` fences every write about it.

    `epoch` is the last recorded one (0: none); `checkpoint` and `previous` are the last two, with their SHA-256.
    """

    job_id: int
    job_key: str
    sweep: str
    trial_key: str
    seed: int
    config: dict[str, Any]
    token: int
    attempt_id: int
    pack_key: str
    epoch: int
    checkpoint: str | None
    checkpoint_sha: str | None
    previous: str | None
    previous_sha: str | None
    alone: bool


@dataclass(frozen=True)
class EpochRow:
    """One epoch (1-based) of one job: its curve values (errors in percent), and the checkpoint written after it, if any."""

    epoch: int
    values: dict[str, float]
    seconds: float
    best: bool
    checkpoint: str | None = None
    checkpoint_sha: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended: errors in percent at the best epoch, seconds of training over all attempts."""

    diverged: bool
    best_epoch: int | None
    val_error: float | None
    test_error: float | None
    seconds: float


def finite(value: float | None) -> float | None:
    """The number, or None where it is missing, NaN or infinite: SQL and JSON have no word for those."""
    return value if value is not None and abs(value) < float("inf") else None


def read_config(written: str) -> dict[str, Any]:
    """A job's configuration from the text that its row has."""
    return completed(json.loads(written))


def storable(text: str) -> str:
    """A text as every database can hold it: what is no character (bytes of a file's name that are not UTF-8) and NUL are written out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def last_line(error: str) -> str:
    """The last line of a traceback that says something, at most 500 characters."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "no message"
