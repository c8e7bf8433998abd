"""Every file that ships is read: sweeps expand to the job count that their first comment names, reports load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nftlab.report import load_report
from nftlab.resources import find_sweep, shipped, shipped_sweeps
from nftlab.spec import load

SWEEPS = sorted(shipped("sweeps").rglob("*.y*ml"))
REPORTS = sorted(path for path in shipped("reports").rglob("*.y*ml") if "out" not in path.relative_to(shipped("reports")).parts)


def header(path: Path) -> str:
    """The comment that a file opens with."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(lines[:end])


def test_there_are_sweeps_and_reports() -> None:
    assert "nft/quick" in shipped_sweeps()
    assert REPORTS


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.relative_to(shipped("sweeps")).as_posix())
def test_a_sweep_expands_to_what_its_header_says(path: Path) -> None:
    told = re.search(r"(\d[\d,]*) jobs", header(path))
    assert told, "the first comment names the number of jobs"
    assert len(list(load(path).jobs())) == int(told[1].replace(",", ""))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.relative_to(shipped("sweeps")).as_posix())
def test_a_sweep_opens_with_the_command_that_launches_it(path: Path) -> None:
    told = re.search(r"nftlab sweep launch (\S+)", header(path))
    assert told
    assert find_sweep(told[1]).resolve() == path


def test_sweep_names_are_distinct() -> None:
    names = [load(path).name for path in SWEEPS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.relative_to(shipped("reports")).as_posix())
def test_a_report_loads(path: Path) -> None:
    load_report(path)
