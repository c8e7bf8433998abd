"""YAML with places: numbers are numbers, and nothing unsafe or ambiguous is read."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest

from nftlab.spec.document import Problems, printable, read, show


def plain(text: str) -> tuple[Any, list[str]]:
    problems = Problems("f")
    root = read(text, problems)

    def strip(value: Any) -> Any:
        if isinstance(value, list):
            return [strip(node.value) for node in value]
        if isinstance(value, dict):
            return {name: strip(node.value) for name, (_, node) in value.items()}
        return value

    return strip(root.value) if root else None, list(problems)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1e4", 1e4),
        ("1E+4", 1e4),
        ("-1e-4", -1e-4),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("-0", 0),
        ("+5", 5),
        ("010", 10),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("'1e-4'", "1e-4"),
        ("!!str 5", "5"),
        ("-.inf", -math.inf),
    ],
)
def test_scalars_follow_yaml_1_2(written: str, value: Any) -> None:
    found, problems = plain(f"a: {written}")
    assert problems == []
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_negative_zero_is_zero() -> None:
    assert math.copysign(1, plain("a: -0.0")[0]["a"]) == 1


def test_folded_text_is_one_line() -> None:
    assert plain("a: >-\n  one\n  two\n\n  three\n") == ({"a": "one two\nthree"}, [])


def test_nodes_know_where_they_stand() -> None:
    root = read("# c\na:\n  b: [1, two]\n  c:\n  d: x\n", Problems("f"))
    assert root is not None
    entries = (root.entries() or {})["a"].entries() or {}
    key, items = entries["b"].key, entries["b"].items() or []
    assert key is not None
    assert (key.line, key.column) == (3, 3)
    assert [(item.node.line, item.node.column) for item in items] == [(3, 7), (3, 10)]
    assert (entries["c"].node.line, entries["c"].node.column) == (4, 3)  # nothing is written there: its key's place
    assert entries["b"].path == "a.b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1: a: duplicate key; first written at 1:1"),
        ("x: {b: 1, b: 2}", "f:1:11: b: duplicate key; first written at 1:5"),
        ("a: [1", "f:1:6: not YAML: while parsing a flow sequence: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "f:1:5: not YAML: mapping values are not allowed here"),
        ("a:\n\t- b", "f:2:1: not YAML: while scanning for the next token: found character '\\t' that cannot start any token"),
        ("a: *x", "f:1:4: not YAML: found undefined alias 'x'"),
        ("a: 1\n---\nb: 2", "f:2:1: not YAML: expected a single document in the stream: but found another document"),
        ("a: &a [*a]", "f:1:4: an alias inside what it names"),
        ("a: !!python/object:os.system x", "f:1:4: tag tag:yaml.org,2002:python/object:os.system; tags are not allowed"),
        ("a: !env {b: 1}", "f:1:4: tag !env; tags are not allowed"),
        ("a: !!int x", "f:1:4: 'x' is not a number this program can hold"),
        ("a: 99999999999999999999", "f:1:4: '99999999999999999999' is not a number this program can hold"),
        ("a: -99999999999999999999", "f:1:4: '-99999999999999999999' is not a number this program can hold"),
        ("1: x", "f:1:1: 1 is not a text: keys are names"),
        ("? [a]\n: b", "f:1:3: a list is not a text: keys are names"),
        ("a: 1\nb: x\x1by", "f:2:5: control character '\\x1b'; a file is plain UTF-8 text"),
        ("", "f:1:1: the file is empty"),
        ("# only a comment\n", "f:1:1: the file is empty"),
        ("[" * 60 + "]" * 60, "f:1:52: nested too deeply"),
        ("[" * 600, "f:1:1: nested too deeply"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert plain(text)[1] == [problem]


def test_problems_come_in_file_order_and_once() -> None:
    problems = Problems("f")
    for line, column, what in [(3, 1, "c"), (1, 9, "b"), (1, 2, "a"), (3, 1, "c")]:
        problems.add(line, column, what)
    assert list(problems) == ["f:1:2: a", "f:1:9: b", "f:3:1: c"]


def test_aliases_share_what_they_name() -> None:
    assert plain("a: &x [1, 2]\nb: *x\n")[0] == {"a": [1, 2], "b": [1, 2]}
    levels = "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
    tracemalloc.start()
    read(f"a0: &a0 [x]\n{levels}", Problems("f"))  # 9⁹ members if it were copied
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_messages_stay_short_and_printable() -> None:
    assert show("x" * 1000)[-1] == "…"
    assert len(show("x" * 1000)) == 80
    assert printable("a\x07b") == "a\\x07b"
    assert printable("η") == "η"
