"""The reports that ship: the paper's numbers exactly, and a table that is honest before anything was run."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from nftlab.report import build, load_report, render, reports, scaled_name
from nftlab.report.find import find_report
from nftlab.report.scale import counts
from nftlab.resources import find_sweep, shipped_sweeps
from nftlab.spec import Sweep, load

ROOT = Path(__file__).resolve().parents[2]
TAKEN = ROOT.parent / "shared" / "design" / "published.json"
NFT, STUDENTS = "NFT (Marullo et al., AAAI 2022)", "Student reproduction (Ullah et al., Paris-Saclay)"
PATHS = {"quick-nft": "nft/quick", "mnist-rot-small": "nft/mnist-rot-small"}  # sweeps not called as their files
SHIPPED = sorted(set(reports()) & {f"nft/{path.stem}" for path in (ROOT / "reports" / "nft").glob("*.yaml")})


@functools.cache
def sweep(name: str) -> Sweep:
    """A shipped sweep by the name of its file; the grids are large."""
    return load(find_sweep(name))


def test_table_1_has_the_80_published_numbers() -> None:
    spec = load_report("nft/table1")
    assert len(spec.published) == len(spec.rows) * len(spec.columns) == 80
    assert all(value.std is not None for value in spec.published.values())
    assert spec.published["CNN-B NFT", "rectangles-image"].mean == 6.27


@pytest.mark.parametrize(
    ("name", "table", "of"),
    [
        ("table1", "Table 1", NFT),
        ("table2", "Table 2", NFT),
        ("student-table1", "Table 1", STUDENTS),
        ("student-table2", "Table 2", STUDENTS),
        ("student-table3", "Table 3", STUDENTS),
    ],
)
def test_published_numbers_are_those_that_were_taken_from_the_paper(name: str, table: str, of: str) -> None:
    """Bold ones included."""
    if not TAKEN.is_file():
        pytest.skip("the numbers as they were taken from the papers are not here")
    taken = [one for one in json.loads(TAKEN.read_text())["results"] if (one["paper"], one["table"]) == (of, table)]
    cells = {(cell.row, cell.column): cell for cell in build(load_report(f"nft/{name}"), None).cells}
    assert len(taken) == len(cells)
    for one in taken:
        cell = cells[_place(one, name)]
        assert (cell.published.mean if cell.published else None) == one["mean"]
        assert (cell.published.std if cell.published else None) == one["std"]
        if "bold" in one:
            assert cell.published_better == one["bold"]


def _place(one: dict[str, Any], name: str) -> tuple[str, str]:
    """The row and column in which a number belongs."""
    if name == "table1":
        return f"{one['arch']} {one['method']}", one["dataset"].replace("_", "-")
    short = {"imdb": "IMDB", "wines": "WINES", "cifar10": "CIFAR-10", "cifar10-n10": "CIFAR-10-N10"}
    return one["method"], f"{one['arch']} {short[one['dataset'].split()[0]]}"


def test_the_small_reports_repeat_table_1() -> None:
    small, whole = load_report("nft/mnist-rot-small").published, load_report("nft/table1").published
    assert len(small) == 4
    small |= {(f"FC-A {row}", column): value for (row, column), value in load_report("nft/table1-fc-a").published.items()}
    small |= {(f"CNN-A {row}", column): value for (row, column), value in load_report("nft/table1-cnn-a").published.items()}
    assert len(small) == 4 + 12 - 2 + 4 - 2
    assert {place: (value.mean, value.std) for place, value in small.items()} == {
        place: (whole[place].mean, whole[place].std) for place in small
    }


def test_an_empty_database_prints_the_whole_table_with_holes() -> None:
    text = render(build(load_report("nft/table1"), None), "md")
    assert text.count("±") == 80 + 1
    assert "Filled: 0 of 80 cells." in text
    assert "cannot be filled" not in text


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_report_opens_with_its_command(name: str) -> None:
    first = find_report(name)[1].read_text().splitlines()[0]
    assert first.split("     ")[0] == f"# nftlab report {name}"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_report_names_shipped_sweeps_and_counts_no_scaled_ones(name: str) -> None:
    spec = load_report(name)
    known = {sweep(path).name for path in shipped_sweeps()}
    assert set(spec.sweeps) <= known
    assert spec.sweeps
    assert not any(counts(scaled_name(name, 0.05), spec) for name in known)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_cell_of_a_shipped_report_is_filled_by_a_sweep_that_it_names(name: str) -> None:
    spec = load_report(name)
    configs = [trial.config for name in spec.sweeps for trial in sweep(PATHS.get(name, name)).trials]
    for row in spec.rows:
        mine = [config for config in configs if row.holds(config)]
        for column in spec.columns:
            assert any(column.holds(config) for config in mine), f"{row.label}, {column.label}"
