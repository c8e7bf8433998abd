"""Texts made harmless before they leave: passwords for screens, logs and records, formulas for spreadsheets."""

from __future__ import annotations

import re
from typing import Any

# To the last @ and the next &, whatever lies between: a password is worth more than the rest of a message. What is masked already,
# as in the library's own messages, is left alone, and so is the rest of these.
_IN_URL = re.compile(r"(://[^:/]*):(?!\*{3}@).*@", re.DOTALL)
_IN_QUERY = re.compile(r"((?:pas+(?!s|file)\w*|pwd)=)(?!\*{3})[^&]+", re.IGNORECASE)  # misspelt too
_SECRET = re.compile(r"((?:key|token|secret|pass(?:word|wd)?|pwd)=).+", re.IGNORECASE | re.DOTALL)
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.]+(e[+-]?\d+)?\Z)", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with *** for the passwords of the database URLs in it."""
    return _IN_QUERY.sub(r"\1***", _IN_URL.sub(r"\1:***@", text))


def without_secrets(word: str) -> str:
    """A word of a command line with *** for passwords in URLs and for what follows key=, token=, password= and the like."""
    return _SECRET.sub(r"\1***", masked(word))


def no_formula(value: Any) -> Any:
    """A field of a CSV file; before a text that a spreadsheet would compute stands a '. Numbers, also as text, stay as they are."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
