from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from nftlab.store import Queue
from tests.cli.helpers import Invoke, claim, finish, finish_all, read

REPORT = """
title: A small table
sweeps: small
rows: {algorithm: {CT: ct, NFT: nft}}
columns: {dataset: {digits: digits}}
seeds: 2
baseline: {algorithm: ct}
"""


@pytest.fixture
def table(folder: Path) -> Path:
    (folder / "reports").mkdir()
    (folder / "reports" / "small.yaml").write_text(REPORT)
    return folder


def test_without_a_database_there_are_holes_and_nothing_is_created(invoke: Invoke, table: Path) -> None:
    result = invoke("report", "small", "--json")
    assert result.exit_code == 0
    assert [(cell["row"], cell["mean"], cell["n"], cell["jobs"]) for cell in read(result)["cells"]] == [
        ("CT", None, 0, []),
        ("NFT", None, 0, []),
    ]
    assert {path.name for path in table.iterdir()} == {"reports", "small.yaml"}
    assert [path.name for path in (table / "reports").iterdir()] == ["small.yaml"]


def test_in_a_pipe_it_is_markdown_and_the_files_are_told_on_stderr(invoke: Invoke, table: Path, queue: Queue) -> None:
    finish_all(queue)
    result = invoke("report", "small")
    assert result.stdout.startswith("# A small table\n")
    assert "6.00 ± 0.00" in result.stdout
    for suffix in ("md", "csv", "tex", "html"):
        assert (table / "reports" / "out" / f"small.{suffix}").stat().st_size > 0
        assert f"reports/out/small.{suffix}" in result.stderr
    assert (table / "reports" / "out" / "small.md").read_text() == result.stdout


def test_on_a_terminal_it_is_drawn(invoke: Invoke, table: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    from nftlab.cli import report

    finish(queue, claim(queue, 2))
    monkeypatch.setattr(report, "_on_terminal", lambda: True)
    text = invoke("report", "small").stdout
    assert "A small table" in text
    assert "|" not in text
    assert any(line.split()[:4] == ["CT", "6.00", "±", "0.00"] for line in text.splitlines())


@pytest.mark.parametrize(
    ("fmt", "begins"), [("md", "# A small"), ("csv", "report,row,"), ("latex", "%"), ("html", "<!doctype html>"), ("json", "{")]
)
def test_every_format(fmt: str, begins: str, invoke: Invoke, table: Path) -> None:
    text = invoke("report", "small", "--format", fmt).stdout
    assert text.lower().startswith(begins.lower())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_csv_has_a_line_a_cell(invoke: Invoke, table: Path) -> None:
    assert [row["row"] for row in csv.DictReader(io.StringIO(invoke("report", "small", "--format", "csv").stdout))] == ["CT", "NFT"]


def test_files_go_where_they_are_sent(invoke: Invoke, table: Path, queue: Queue) -> None:
    finish(queue, claim(queue))
    assert invoke("report", "small", "--out", "elsewhere").exit_code == 0
    assert (table / "elsewhere" / "small.html").is_file()
    assert not (table / "reports" / "out").exists()
    assert invoke("report", "small", "--out", "small.yaml/x").exit_code == 69


def test_that_nothing_was_written_is_said(invoke: Invoke, table: Path) -> None:
    result = invoke("report", "small", "--out", "elsewhere")
    assert (result.exit_code, result.stdout[:15]) == (0, "# A small table")
    assert "nothing was written to elsewhere: the job table has no run for this report" in result.stderr
    assert not (table / "elsewhere").exists()
    assert "nothing was written" not in invoke("report", "small").stderr


def test_that_the_default_folder_cannot_be_written_is_only_said(invoke: Invoke, table: Path, queue: Queue) -> None:
    finish(queue, claim(queue))
    (table / "reports" / "out").touch()
    result = invoke("report", "small")
    assert result.exit_code == 0
    assert "6.00" in result.stdout
    assert "--out" in result.stderr


def test_a_cell_is_walked_back_to_its_jobs(invoke: Invoke, table: Path, queue: Queue) -> None:
    claims = claim(queue, 2)
    finish(queue, claims)
    text = invoke("report", "small", "--explain", "CT", "digits").stdout
    assert all(job.job_key in text for job in claims)
    assert [run["job"] for run in read(invoke("report", "small", "--explain", "CT", "digits", "--json"))["runs"]] == [
        job.job_key for job in claims
    ]
    assert invoke("report", "small", "--explain", "CTT", "digits").exit_code == 66


def test_json_on_a_terminal_is_ascii(invoke: Invoke, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nftlab.cli import report

    (table / "reports" / "small.yaml").write_text(REPORT.replace("A small", "Größere"))
    piped = invoke("report", "small", "--json")
    monkeypatch.setattr(report, "_on_terminal", lambda: True)
    shown = invoke("report", "small", "--json")
    assert read(shown) == read(piped)
    assert (shown.stdout.isascii(), piped.stdout.isascii()) == (True, False)


def test_the_name_of_a_file_cannot_drive_a_terminal(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nftlab.cli.report import report

    (table / "reports" / "\x1b[2J.yaml").write_text(REPORT)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    report(listed=True)
    assert "\\x1b[2J" in capsys.readouterr().out


def test_list_names_ours_and_the_shipped_ones(invoke: Invoke, table: Path) -> None:
    assert {"small", "nft/quick"} <= set(invoke("report", "--list").stdout.split())
    assert set(read(invoke("report", "--list", "--json"))) == set(invoke("report", "--list").stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["small", "--list"], 2),
        (["small", "--format", "docx"], 2),
        (["small", "--format", "csv", "--json"], 2),
        (["small", "--explain", "CT"], 2),
        (["small", "--explain", "CT", "digits", "--format", "csv"], 2),
        (["small", "--explain", "CT", "digits", "--format", "json", "--json"], 2),
        (["smal"], 66),
        (["\x1b[2J"], 66),
    ],
)
def test_wrong_calls(arguments: list[str], code: int, invoke: Invoke, table: Path) -> None:
    result = invoke("report", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert "\x1b" not in result.stderr


def test_a_report_file_with_problems(invoke: Invoke, table: Path) -> None:
    (table / "bad.yaml").write_text(REPORT.replace("algorithm: ct", "algorithmus: ct").replace("seeds: 2", "seeds: none"))
    result = invoke("report", "bad.yaml")
    assert result.exit_code == 78
    assert len(result.stderr.splitlines()) == 2
