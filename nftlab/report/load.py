"""Reads a report file; all of its problems are reported at once, each with file, line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from nftlab.errors import NotFoundError, nearest
from nftlab.report.axes import axis, named_sweeps, printable, unknown, where
from nftlab.report.find import find_report
from nftlab.report.load_figure import figure
from nftlab.report.model import CHOICES, METRICS, Choice, Line, Metric, Published, ReportSpec, is_baseline
from nftlab.spec.document import Cursor, Problems, decoded, read, show
from nftlab.spec.mistaken import mistaken

_KEYS = ("title", "caption", "notes", "sweeps", "rows", "columns", "metric", "choose", "seeds", "baseline", "published", "figure")
_PUBLISHED_KEYS = ("source", "notes", "cells")
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_MEAN_STD = re.compile(rf"\s*{_NUMBER}\s*(?:±|\+/?-)\s*{_NUMBER}\s*")

Values = dict[tuple[str, str], Published]


def load_report(name_or_path: str | Path) -> ReportSpec:
    """The report of that name or file; raises NotFoundError, or SpecError with every problem of the file."""
    name, path = find_report(name_or_path)
    problems = Problems(str(path))
    try:
        text = decoded(path.read_bytes(), problems)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error}") from error
    problems.raise_any()
    assert text is not None, "a file without problems has a text"
    return load_report_text(text, name, path=str(path))


def load_report_text(text: str, name: str, *, path: str = "<report>") -> ReportSpec:
    """The report that a YAML text describes; `path` stands before the line and column of its problems."""
    problems = Problems(path)
    root = read(text, problems)
    spec = _report(root, name) if root and not mistaken(root, "report") else None
    problems.raise_any()
    assert spec is not None  # without a spec there is a problem
    return spec


def _report(root: Cursor, name: str) -> ReportSpec:
    given = root.known(_KEYS)
    for key in ("title", "rows", "columns"):
        if key not in given:
            root.fail(f"{key} is missing")
    rows = axis(given["rows"]) if "rows" in given else ()
    columns = axis(given["columns"]) if "columns" in given else ()
    published, told, source = _published(given["published"], rows, columns) if "published" in given else ({}, (), "")
    baseline = _baseline(given["baseline"], rows, columns) if "baseline" in given else {}
    sweeps = _texts(given["sweeps"]) if "sweeps" in given else ()
    for lines in (given[key] for key in ("rows", "columns") if sweeps and key in given):
        _check_sweeps(lines, sweeps)
    notes = (_texts(given["notes"]) if "notes" in given else ()) + told + unknown((*rows, *columns))
    return ReportSpec(
        name=name,
        title=_text(given, "title"),
        rows=rows,
        columns=columns,
        caption=_text(given, "caption"),
        notes=notes,
        sweeps=sweeps,
        metric=cast(Metric, given["metric"].one_of(METRICS) or "test_error") if "metric" in given else "test_error",
        seeds=(given["seeds"].whole(1, 10_000) or 1) if "seeds" in given else 3,
        baseline=baseline,
        published=published,
        source=source,
        choose=_choose(given["choose"]) if "choose" in given else "val_error",
        figure=figure(given["figure"], rows) if "figure" in given else None,
    )


def _choose(cursor: Cursor) -> Choice:
    if cursor.value == "test_error":
        cursor.fail(f"configurations are chosen by validation, never by test: {' or '.join(CHOICES)}")
        return "val_error"
    return cast(Choice, cursor.one_of(CHOICES) or "val_error")


def _text(given: Mapping[str, Cursor], key: str) -> str:
    return printable(given[key]) if key in given else ""


def _texts(cursor: Cursor) -> tuple[str, ...]:
    """One text, or a list of them."""
    if isinstance(cursor.value, str):
        return (printable(cursor),)
    return tuple(printable(item) for item in cursor.items() or ())


def _baseline(cursor: Cursor, rows: Sequence[Line], columns: Sequence[Line]) -> dict[str, tuple[Any, ...]]:
    wanted = where(cursor)
    if wanted and rows and columns and not any(is_baseline(line, wanted) for line in (*rows, *columns)):
        cursor.fail("no row and no column is the baseline", at_key=True)
    return wanted


def _check_sweeps(lines: Cursor, sweeps: Sequence[str]) -> None:
    """A line whose sweep does not count for the report would be a hole for ever; whether two patterns have one in common nobody knows."""
    for named in named_sweeps(lines):
        name = named.value
        if isinstance(name, str) and not any(_overlap(name, sweep) for sweep in sweeps):
            named.fail(f"{show(name)} is not among the report's sweeps: {', '.join(sweeps)}{nearest(name, sweeps)}")


def _overlap(one: str, other: str) -> bool:
    """Whether two names or patterns may mean one sweep."""
    both_patterns = all(set("*?[") & set(each) for each in (one, other))
    return both_patterns or one == other or fnmatchcase(one, other) or fnmatchcase(other, one)


def _published(cursor: Cursor, rows: Sequence[Line], columns: Sequence[Line]) -> tuple[Values, tuple[str, ...], str]:
    """Values by (row label, column label), notes, and the source."""
    given = cursor.known(_PUBLISHED_KEYS)
    for key in ("source", "cells"):
        if key not in given:
            cursor.fail(f"{key} is missing", at_key=True)
    source, labels = _text(given, "source"), [row.label for row in rows]
    found: Values = {}
    for label, values in ((given["cells"].entries() if "cells" in given else None) or {}).items():
        if labels and label not in labels:  # of rows that could not be read nothing is known
            values.fail(f"no row has this label; rows: {', '.join(labels)}{nearest(label, labels)}", at_key=True)
            continue
        read_values = [_value(item, source) for item in values.items() or []]
        if columns and read_values and len(read_values) != len(columns):
            values.fail(f"{len(read_values)} values for {len(columns)} columns; write null where none was published")
        found |= {(label, column.label): value for column, value in zip(columns, read_values, strict=False) if value}
    return found, _texts(given["notes"]) if "notes" in given else (), source


def _value(cursor: Cursor, source: str) -> Published | None:
    """`28.34 ± 0.09`, `28.34` or null."""
    if isinstance(cursor.value, str) and (found := _MEAN_STD.fullmatch(cursor.value)):
        return Published(float(found[1]), float(found[2]), source)
    if isinstance(cursor.value, (int, float)) and not isinstance(cursor.value, bool):
        number = cursor.number()
        return None if number is None else Published(float(number), None, source)
    if cursor.value is not None:
        cursor.fail(f"{show(cursor.value)} is not a published value; write 28.34 ± 0.09, a number, or null")
    return None
