"""Rows and columns of a report file: the product of some fields' values, or lines spelled out."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from nftlab.configuration import check
from nftlab.errors import nearest
from nftlab.hypers import ALGORITHMS
from nftlab.report.model import SWEEP, Line
from nftlab.spec.document import Cursor

MOST = 10_000  # rows or columns
_LINE_KEYS = ("label", "group", "where")
_FIELDS = {field.name: (name, field.metadata) for name, cls in reversed(ALGORITHMS.items()) for field in dataclasses.fields(cls)}


def axis(cursor: Cursor) -> tuple[Line, ...]:
    """Rows or columns: a mapping is the product of its fields' values, a list spells the lines out."""
    lines = _product(cursor) if isinstance(cursor.value, dict) else [_line(item) for item in cursor.items() or ()]
    seen: set[str] = set()
    for line in lines:
        if line.label in seen:
            cursor.fail(f"two lines are called {line.label!r}")
        seen.add(line.label)
    return tuple(lines)


def _product(cursor: Cursor) -> list[Line]:
    """All combinations in the order written, the first field slowest; the fields before the last one form the group."""
    fields = {name: values for name, values in (cursor.entries() or {}).items() if _field(values, name)}
    axes = [[(label, name, value) for label, value in _values(values, name)] for name, values in fields.items()]
    if not axes:
        if not cursor.value:  # else what is wrong with those given has been told
            cursor.fail("no field is given")
        return []
    if (count := math.prod(map(len, axes))) > MOST:
        cursor.fail(f"{count:,} lines, at most {MOST:,} can be printed")
        return []
    lines = []
    for combination in itertools.product(*axes):
        labels = [label for label, _, _ in combination]
        where = {name: (value,) for _, name, value in combination}
        lines.append(Line(" ".join(labels), labels[-1], " ".join(labels[:-1]), where))
    return lines


def _values(cursor: Cursor, name: str) -> Iterator[tuple[str, Any]]:
    """(label, value): from a mapping of label to value, a list of values, or one value."""
    if isinstance(cursor.value, dict):
        found = list((cursor.entries() or {}).items())
        if not found:
            cursor.fail("no value is given")
    else:
        found = [(str(item.value), item) for item in _several(cursor)]
    for label, item in found:
        if item.scalar() and _fits(item, name):
            yield _label(item, label), item.value


def _label(cursor: Cursor, label: str) -> str:
    if not label.strip() or not label.isprintable():
        cursor.fail(f"{label!r} is no label: it must be printable", at_key=True)
    return label


def _line(cursor: Cursor) -> Line:
    given = cursor.known(_LINE_KEYS)
    for key in ("label", "where"):
        if key not in given:
            cursor.fail(f"{key} is missing")
    short = _label(given["label"], printable(given["label"])) if "label" in given else f"line {cursor.node.line}"
    group = printable(given["group"]) if "group" in given else ""
    return Line(f"{group} {short}".strip(), short, group, where(given["where"]) if "where" in given else {})


def where(cursor: Cursor) -> dict[str, tuple[Any, ...]]:
    """For each field one value or a list of allowed ones."""
    found = {}
    for name, values in (cursor.entries() or {}).items():
        if _field(values, name):
            found[name] = tuple(item.value for item in _several(values) if item.scalar() and _fits(item, name))
    return found


def named_sweeps(cursor: Cursor) -> Iterator[Cursor]:
    """Every place at which rows or columns name a sweep."""
    lines = [cursor] if isinstance(cursor.value, dict) else [(item.entries() or {}).get("where") for item in cursor.items() or ()]
    for line in lines:
        if line is None or (given := (line.entries() or {}).get(SWEEP)) is None:
            continue
        yield from (given.entries() or {}).values() if isinstance(given.value, dict) else _several(given)


def _several(cursor: Cursor) -> list[Cursor]:
    """The members of a list, or the one value."""
    return (cursor.items() or []) if isinstance(cursor.value, list) else [cursor]


def _field(cursor: Cursor, name: str) -> bool:
    known = (*_FIELDS, SWEEP)
    if name not in known:
        cursor.fail(f"no algorithm has this field{nearest(name, known)}", at_key=True)
    return name in known


def _fits(cursor: Cursor, name: str) -> bool:
    """Whether a field can have this value; names that this nftlab does not know are let through, see `unknown`."""
    if name == SWEEP:
        return cursor.text() is not None
    owner, metadata = _FIELDS[name]
    if isinstance(cursor.value, str) and (name == "algorithm" or metadata["choices"]):
        return True
    wrong = [what for field, what in check({"algorithm": owner, name: cursor.value}) if field == name]
    for what in wrong:
        cursor.fail(what)
    return not wrong


def unknown(lines: Sequence[Line]) -> tuple[str, ...]:
    """A note on the algorithms, networks and data sets that this nftlab cannot run, so that their holes are no surprise."""
    missing: dict[str, dict[str, None]] = {}
    for line in lines:
        for name, values in line.where.items():
            if name == SWEEP:  # whether it was launched the job table tells
                continue
            choices = ALGORITHMS if name == "algorithm" else _FIELDS[name][1]["choices"]
            for value in values:
                if choices and value not in choices:
                    missing.setdefault(name, {})[f"{value}"] = None
    told = "; ".join(f"{name} {', '.join(values)}" for name, values in missing.items())
    return (f"Not in this nftlab yet, so these cells cannot be filled: {told}.",) if told else ()


def printable(cursor: Cursor) -> str:
    """A text on one line: white space folded, nothing that could drive a terminal."""
    text = " ".join((cursor.text() or "").split())
    if not text.isprintable():
        cursor.fail(f"{text!r} holds characters that cannot be printed")
    return text
