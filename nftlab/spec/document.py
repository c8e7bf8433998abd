"""YAML text as a tree that knows where everything stands, and a cursor that walks it collecting problems.

YAML 1.2 with its core types only: `1e-4`, `1e4`, `.5` and `5.` are numbers, `yes` is a text, tags are refused. Problems are
collected, never raised one by one: a file's author wants all of them at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nftlab.errors import SpecError, nearest

LARGEST = 2**63 - 1  # what the job table's integers hold
DEEPEST = 50  # levels: no file that means anything comes near
_CORE = "tag:yaml.org,2002:"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True, eq=False)
class Node:
    """A value and its place (from 1): a scalar, a list of nodes, or a dict of name to (node of the key, node of the value)."""

    value: Any
    line: int
    column: int


class Problems:
    """What is wrong with one file; each problem is kept once, and they come out in the file's order."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._found: dict[tuple[int, int, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[str]:
        for line, column, what in sorted(self._found, key=lambda found: found[:2]):
            yield f"{self.where}:{line}:{column}: {what}"

    def add(self, line: int, column: int, what: str) -> None:
        """Keep a problem at a place, counted from 1."""
        self._found[line, column, what] = None

    def raise_any(self) -> None:
        """Raise SpecError with all problems if there is one."""
        if self:
            raise SpecError(list(self))


@dataclass(frozen=True, eq=False)
class Cursor:
    """A node, the path of keys that leads to it, and where to report; readers return None after reporting a problem."""

    node: Node
    path: str
    problems: Problems
    key: Node | None = None

    @property
    def value(self) -> Any:
        """The node's value: a scalar, or nodes in a list or dict."""
        return self.node.value

    def fail(self, what: str, *, at_key: bool = False) -> None:
        """Report a problem at the value, or at its key."""
        node = self.key if at_key and self.key else self.node
        self.problems.add(node.line, node.column, f"{self.path}: {what}" if self.path else what)

    def entries(self) -> dict[str, Cursor] | None:
        """The cursors of a mapping's values by key, in file order."""
        if not isinstance(self.value, dict):
            self.fail(f"{show(self.value)} is not a mapping of keys to values")
            return None
        prefix = f"{self.path}." if self.path else ""
        return {name: Cursor(value, prefix + printable(name), self.problems, key) for name, (key, value) in self.value.items()}

    def known(self, allowed: Collection[str], refused: Mapping[str, str] | None = None) -> dict[str, Cursor]:
        """The entries whose keys are allowed; any other key is a problem, with its reason when it is among the refused."""
        refused = refused or {}
        entries = self.entries() or {}
        for name in [name for name in entries if name not in allowed]:
            close = nearest(name, [*allowed, *refused])
            entries.pop(name).fail(refused.get(name) or f"unknown key; allowed: {', '.join(allowed)}{close}", at_key=True)
        return entries

    def items(self) -> list[Cursor] | None:
        """The cursors of a list's members; an empty list is a problem."""
        if not isinstance(self.value, list):
            self.fail(f"{show(self.value)} is not a list")
            return None
        if not self.value:
            self.fail("the list is empty")
            return None
        return [Cursor(node, self.path, self.problems) for node in self.value]

    def text(self) -> str | None:
        """A text; a number or truth value is none."""
        if isinstance(self.value, str):
            return self.value
        self.fail(f"{show(self.value)} is not a text; write it in quotes if it is meant as one")
        return None

    def one_of(self, choices: Collection[str]) -> str | None:
        """One of these texts."""
        if isinstance(self.value, str) and self.value in choices:
            return self.value
        close = nearest(self.value, choices) if isinstance(self.value, str) else ""
        self.fail(f"{show(self.value)} is not one of {', '.join(choices)}{close}")
        return None

    def whole(self, low: int = -LARGEST, high: int = LARGEST) -> int | None:
        """A whole number between two bounds, both included; true and false are none."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fail(f"{show(self.value)} is not a whole number")
        elif not low <= self.value <= high:
            self.fail(f"{self.value} is {f'below {low}' if self.value < low else f'above {high}'}")
        else:
            return self.value
        return None

    def number(self) -> int | float | None:
        """A finite number; true and false are none."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            self.fail(f"{show(self.value)} is not a number")
            return None
        return self.value

    def scalar(self) -> bool:
        """Whether the value is one number, text, truth value or null; reports it if not."""
        if isinstance(self.value, (list, dict)):
            self.fail(f"{show(self.value)} is not a single value")
            return False
        return True


def show(value: Any) -> str:
    """A value as messages name it: short, and printable."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return _short(repr(value))


def printable(name: str) -> str:
    """A key as paths name it: escaped where it could not be printed."""
    return _short(name if name.isprintable() else ascii(name)[1:-1])


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def decoded(content: bytes, problems: Problems) -> str | None:
    """The text of a file, or None after reporting where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        problems.add(before.count(b"\n") + 1, error.start - before.rfind(b"\n"), "not UTF-8 text")
        return None


def read(text: str, problems: Problems) -> Cursor | None:
    """The tree of a YAML text, or None after reporting why there is none."""
    if bad := _FORBIDDEN.search(text):
        line, start = text.count("\n", 0, bad.start()) + 1, text.rfind("\n", 0, bad.start())
        problems.add(line, bad.start() - start, f"control character {bad.group()!a}; a file is plain UTF-8 text")
        return None
    root = _compose(text, problems)
    if root is None:
        return None
    return Cursor(_Reader(problems).node(root), "", problems)


def _compose(text: str, problems: Problems) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        root = YAML(typ="rt", pure=True).compose(text)  # the round-trip reader marks every node; nothing is constructed
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f"{error.context}: " if error.context else ""
        problems.add(line, column, f"not YAML: {context}{error.problem}")
    except (YAMLError, ValueError) as error:
        problems.add(1, 1, f"not YAML: {printable(str(error))}")
    except RecursionError:
        problems.add(1, 1, "nested too deeply")
    else:
        if root is not None:
            return root
        problems.add(1, 1, "the file is empty")
    return None


class _Reader:
    """Turns ruamel's nodes into ours; an alias shares the node it names, so that no text grows by reading it."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._done: dict[int, Node | None] = {}  # None while its members are being read
        self._depth = 0

    def node(self, raw: Any) -> Node:
        line, column = raw.start_mark.line + 1, raw.start_mark.column + 1
        if self._depth > DEEPEST:
            self._problems.add(line, column, "nested too deeply")
            return Node(None, line, column)
        if id(raw) in self._done:
            done = self._done[id(raw)]
            if done is None:
                self._problems.add(line, column, "an alias inside what it names")
            return done or Node(None, line, column)
        self._done[id(raw)] = None
        self._depth += 1
        value = self._value(raw, line, column)
        self._depth -= 1
        self._done[id(raw)] = node = Node(value, line, column)
        return node

    def _value(self, raw: Any, line: int, column: int) -> Any:
        kind = raw.tag.removeprefix(_CORE) if raw.tag else ""
        if isinstance(raw.value, list):
            if kind not in ("map", "seq"):
                self._problems.add(line, column, f"tag {printable(raw.tag)}; tags are not allowed")
            elif kind == "map":
                return self._mapping(raw)
            return [self.node(item) for item in raw.value] if kind == "seq" else {}
        # the round-trip reader marks every fold of a `>` text with a bell; control characters were refused before
        text = raw.value.replace("\a", "") if raw.style == ">" else raw.value
        try:
            return _SCALARS[kind](text)
        except KeyError:
            self._problems.add(line, column, f"tag {printable(raw.tag)}; tags are not allowed")
        except ValueError:
            self._problems.add(line, column, f"{show(raw.value)} is not a number this program can hold")
        return None

    def _mapping(self, raw: Any) -> dict[str, tuple[Node, Node]]:
        found: dict[str, tuple[Node, Node]] = {}
        for raw_key, raw_value in raw.value:
            key, value = self.node(raw_key), self.node(raw_value)
            if not isinstance(key.value, str):
                self._problems.add(key.line, key.column, f"{show(key.value)} is not a text: keys are names")
            elif key.value in found:
                first = found[key.value][0]
                what = f"{printable(key.value)}: duplicate key; first written at {first.line}:{first.column}"
                self._problems.add(key.line, key.column, what)
            else:
                empty = value.value is None and raw_value.value in ("", None)  # ruamel marks it where the next key stands
                found[key.value] = (key, Node(None, key.line, key.column) if empty else value)
        return found


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    based = digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
    value = int(digits, 0 if based else 10)
    if abs(value) > LARGEST:
        raise ValueError
    return value


def _float(text: str) -> float:
    if special := re.fullmatch(r"([-+]?)\.(inf|nan)", text.lower()):
        return float("".join(special.groups()))
    return float(text.replace("_", "")) + 0.0  # -0.0 is 0


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "merge": str,
    "value": str,
    "int": _integer,
    "float": _float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
}
