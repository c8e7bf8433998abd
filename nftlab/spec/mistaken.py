"""A file of another kind than the one expected: told in one line, not key by key."""

from __future__ import annotations

from typing import Literal

from nftlab.spec.document import Cursor

Kind = Literal["sweep", "report", "paper"]
_KINDS: dict[Kind, tuple[set[str], str]] = {  # keys that only such files have, one of them in each, and the command that takes them
    "sweep": ({"method", "parameters"}, "nftlab sweep launch"),
    "report": ({"rows", "columns"}, "nftlab report"),
    "paper": ({"items"}, "nftlab paper"),
}


def mistaken(root: Cursor, expected: Kind) -> bool:
    """Whether a file is surely of another kind, which is then reported: it has keys of that kind and none of the expected one."""
    keys = set(root.value) if isinstance(root.value, dict) else set()
    if keys & _KINDS[expected][0]:
        return False
    for kind, (marks, command) in _KINDS.items():
        if keys & marks:
            root.fail(f"this is a {kind} file, which `{command}` takes, not a {expected} file")
            return True
    return False
