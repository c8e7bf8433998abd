from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nftlab.cli import output
from nftlab.errors import UsageError


def test_control_characters_are_spelled_out() -> None:
    assert output.printable("a\x1b[31m\x07b\r\u202ec\udcff") == "a\\x1b[31m\\x07b\\r\\u202ec\\udcff"
    assert output.printable("± η_max\n\t✓ größer") == "± η_max\n\t✓ größer"


@pytest.mark.parametrize(("terminal", "shown"), [(True, "a\\x1b[2J\\u202eü\n"), (False, "a\x1b[2J\u202eü\n")])
def test_data_cannot_drive_a_terminal_and_reach_programs_as_they_are(
    terminal: bool, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    output.emit("a\x1b[2J\u202eü")
    assert capsys.readouterr().out == shown


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"loss": math.nan, "all": (1, 2.5, -math.inf, True, None), "path": Path("a/b"), 3: "µ"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"loss": None, "all": [1, 2.5, None, True, None], "path": "a/b", "3": "µ"}
    assert out.endswith("}\n")


def test_a_table_in_a_pipe_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["a", "b"], [["[red]x", None], ["1\t2\n3", 4]])
    assert capsys.readouterr().out == "a\tb\n[red]x\t\n1 2 3\t4\n"


def test_a_table_on_a_terminal_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.table(["name", "n"], [["[red]x", 4]], right=["n"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert any("[red]x" in line and line.endswith("4") for line in lines)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (math.nan, "–"), (0.04, "0.0 s"), (59.4, "59 s"), (95, "1 min 35 s"), (3661, "1 h 1 min"), (200_000, "2 d 7 h")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert output.duration(seconds) == shown


def test_more_than_ten_rows_need_a_yes() -> None:
    assert output.confirm("cancel", 10, yes=False)
    assert output.confirm("cancel", 11, yes=True)
    with pytest.raises(UsageError, match="--yes"):
        output.confirm("cancel", 11, yes=False)  # pytest's stdin is no terminal


def test_what_always_asks_takes_no_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question, err: bool(asked.append(question)))
    assert not output.agreed("delete sweep s with 1 jobs", yes=False)
    assert output.agreed("delete sweep s with 1 jobs", yes=True)
    assert asked == ["delete sweep s with 1 jobs?"]


LONG_TALK = """
import time
from nftlab.cli import output
output.LONG = {long}
with output.busy("verifying"):
    time.sleep(0.3)
print("done")
"""


@pytest.mark.parametrize(("long", "shown"), [(0.02, True), (60.0, False)])
def test_what_takes_long_is_shown_on_a_terminal_and_only_then(long: float, shown: bool) -> None:
    ours, theirs = os.openpty()
    said = subprocess.run([sys.executable, "-c", LONG_TALK.format(long=long)], stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    told = b""
    with contextlib.suppress(OSError):  # what Linux says at the end of a terminal
        while part := os.read(ours, 1 << 16):
            told += part
    os.close(ours)
    assert (said.returncode, said.stdout, b"verifying" in told) == (0, b"done\n", shown)
    piped = subprocess.run([sys.executable, "-c", LONG_TALK.format(long=long)], capture_output=True, timeout=60)
    assert (piped.stdout, piped.stderr) == (b"done\n", b"")
