"""The errors a caller can act on: each knows its exit code and may name the command that mends it.

The library raises these; the command line turns one into a single line on stderr and exits with its code.
Anything else that escapes is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection


class NftlabError(Exception):
    """Something a user can mend: says what and where, and `hint` how."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}; {self.hint}" if self.hint else message


class UsageError(NftlabError):
    """The command was called with arguments that do not go together."""

    exit_code = 2


class NotFoundError(NftlabError):
    """A sweep, job, report or file that was named does not exist."""

    exit_code = 66


class DataError(NftlabError):
    """A data set is missing, corrupt or of the wrong shape."""

    exit_code = 65


class DatabaseError(NftlabError):
    """The job table cannot be opened, written or reached."""

    exit_code = 69


class OutageError(DatabaseError):
    """The job table cannot be reached or written at the moment: the same call may succeed later."""


class DiskError(NftlabError):
    """A file that must be written (checkpoint, cache, report) cannot be: full or read-only disk."""

    exit_code = 69


class FencedError(NftlabError):
    """Another worker owns the job by now: this one must stop and change nothing."""

    exit_code = 75


class ConfigError(NftlabError):
    """A configuration that cannot run as written."""

    exit_code = 78


class SchemaError(ConfigError):
    """The database has another schema version than this nftlab."""


class SpecError(ConfigError):
    """A sweep or report file has problems: `problems` lists all of them, each with file:line:column."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DeviceError(NftlabError):
    """The device asked for does not exist on this machine."""

    exit_code = 69


class ClusterError(NftlabError):
    """Slurm is missing, does not answer, or refuses."""

    exit_code = 69


def nearest(word: str, allowed: Collection[str]) -> str:
    """` (did you mean …?)` when something allowed is close to the word, else the empty string."""
    match = difflib.get_close_matches(word, allowed, n=1) or difflib.get_close_matches(word.lower(), allowed, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
