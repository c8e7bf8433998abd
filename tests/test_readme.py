"""The documents against the program: what they show can be typed, and what can be typed is shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from nftlab.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]
UsageError = typer.BadParameter.__bases__[0]  # click's own, wherever this typer keeps it
SHELL = {"", "sh", "bash", "shell", "console"}


def commands() -> dict[str, Any]:
    """Every leaf of the command tree by its full name, such as `sweep launch`."""
    return dict(_leaves(get_command(app), ""))


def _leaves(command: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _leaves(child, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", child


def shell_lines(path: Path) -> list[str]:
    """The lines of a document's fenced shell blocks."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line.strip().removeprefix("$ ") for language, block in blocks if language in SHELL for line in block.splitlines()]


def calls(path: Path) -> list[list[str]]:
    """The arguments of every call of nftlab in a document's shell blocks."""
    found = []
    for line in shell_lines(path):
        if not re.match(r"(\w+=\S+ )*nftlab ", line):
            continue
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        call: list[str] = []
        for word in words:
            if set(word) <= set("|;&<>"):
                break
            if call or word == "nftlab":
                call.append(word)
        found.append(call[1:])
    return found


def check(arguments: list[str]) -> str:
    """The full name of the command that these arguments call; raises what the command line would complain about."""
    command, name = get_command(app), []
    while hasattr(command, "commands") and arguments and arguments[0] in command.commands:
        command, arguments = command.commands[arguments[0]], arguments[1:]
        name.append(command.name)
    assert not hasattr(command, "commands"), f"no such command: {' '.join([*name, *arguments])}"
    command.make_context(" ".join(name), list(arguments))
    return " ".join(name)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_shown_is_real(path: Path) -> None:
    for arguments in calls(path):
        check(arguments)


def test_the_readme_shows_every_top_level_command() -> None:
    shown = {arguments[0] for arguments in calls(README)} | set(re.findall(r"`nftlab (\w+)", README.read_text()))
    assert {name.split()[0] for name in commands()} - shown == set()


def test_the_reference_shows_every_command() -> None:
    assert {check(arguments) for arguments in calls(ROOT / "docs" / "cli.md")} == set(commands())


def test_every_make_target_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    shown = {line.split()[1] for path in DOCUMENTS for line in shell_lines(path) if line.startswith("make ")}
    shown |= set(re.findall(r"`make ([a-z][\w-]*)`", README.read_text()))
    assert {"demo", "test"} <= shown <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_links_to_exists(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    assert [link for link in links if not link.startswith("http") and not (path.parent / link).exists()] == []


def test_every_command_and_option_has_help() -> None:
    for name, command in commands().items():
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


@pytest.mark.parametrize("wrong", [["sweep", "lunch"], ["status", "--jsn"], ["worker", "--max-jobs", "many"]], ids=" ".join)
def test_a_wrong_command_is_seen(wrong: list[str]) -> None:
    with pytest.raises((AssertionError, UsageError)):
        check(wrong)
