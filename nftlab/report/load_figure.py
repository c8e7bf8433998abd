"""The `figure` of a report file: curves over epochs, the table's numbers over an axis, or a picture that needs the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from nftlab.errors import nearest
from nftlab.hypers import ALGORITHMS
from nftlab.report.model import Axis, Curves, Figure, Line, Picture
from nftlab.spec.document import Cursor
from nftlab.spec.grammar import METRICS

CURVES = (*METRICS, *dict.fromkeys(curve for algorithm in ALGORITHMS.values() for curve in algorithm.curves))
PICTURES = ("boundary", "examples")
_KINDS = ("curves", "axis", "picture")
_MOST = 2  # curves in a picture: one solid, one dashed


def figure(cursor: Cursor, rows: Sequence[Line]) -> Figure | None:
    """The figure at a cursor; None after reporting what is wrong with it."""
    given = cursor.known((*_KINDS, "epochs", "examples"))
    kinds = [name for name in _KINDS if name in given]
    if len(kinds) != 1:
        cursor.fail(f"one of {', '.join(_KINDS)} is expected", at_key=True)
        return None
    for name in ("epochs", "examples"):
        if name in given and kinds != ["picture"]:
            given[name].fail("belongs to a picture", at_key=True)
    if kinds == ["curves"]:
        return _curves(given["curves"])
    if kinds == ["axis"]:
        return _axis(given["axis"], rows)
    kind = given["picture"].one_of(PICTURES)
    if "epochs" not in given:
        cursor.fail("epochs is missing: those at which the networks are shown", at_key=True)
        return None
    epochs = tuple(epoch for item in given["epochs"].items() or () if (epoch := item.whole(1, 1_000_000)))
    examples = given["examples"].whole(1, 100) if "examples" in given else Picture.examples
    return Picture(cast(Literal["boundary", "examples"], kind), epochs, examples or 1) if kind and epochs else None


def _curves(cursor: Cursor) -> Curves | None:
    """A list of curves is one picture, a list of such lists several."""
    items = cursor.items() or []
    nested = [item for item in items if isinstance(item.value, list)]
    pictures = [_picture(item, item.items() or []) for item in nested] if nested else [_picture(cursor, items)]
    if nested and len(nested) < len(items):
        cursor.fail("curves and lists of curves do not mix: write [[test/error, train/error], [test/loss, train/loss]]")
    return Curves(tuple(pictures)) if all(pictures) else None


def _picture(cursor: Cursor, items: Sequence[Cursor]) -> tuple[str, ...]:
    names = tuple(item.value for item in items if _curve(item))
    if len({name.partition("/")[2] for name in names}) > 1:
        cursor.fail(f"{' and '.join(names)} have no axis in common")
    elif len(items) > _MOST:
        cursor.fail(f"{len(items)} curves; a picture has one solid and one dashed")
    return names


def _curve(cursor: Cursor) -> bool:
    name = cursor.text()
    if name is None:
        return False
    if name not in CURVES:
        cursor.fail(f"{name!r} is no curve; allowed: {', '.join(CURVES)}{nearest(name, CURVES)}")
        return False
    return True


def _axis(cursor: Cursor, rows: Sequence[Line]) -> Axis | None:
    """One field for all groups of rows, or a list with one for each."""
    groups = list(dict.fromkeys(line.group for line in rows))
    items = (cursor.items() or []) if isinstance(cursor.value, list) else [cursor] * len(groups)
    if rows and len(items) != len(groups):
        cursor.fail(f"{len(items)} fields for {len(groups)} groups of rows")
        return None
    found = [name for group, item in zip(groups, items, strict=bool(rows)) if (name := _field(item, group, rows))]
    return Axis(tuple(found)) if len(found) == len(groups) else None


def _field(cursor: Cursor, group: str, rows: Sequence[Line]) -> str | None:
    name = cursor.text()
    if name is None:
        return None
    for line in (line for line in rows if line.group == group):
        values = line.where.get(name, ())
        if len(values) != 1 or isinstance(values[0], bool) or not isinstance(values[0], (int, float)):
            cursor.fail(f"row {line.label!r} has no single number for {name}")
            return None
    return name
