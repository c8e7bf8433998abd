"""The reports that ship: the paper's numbers exactly, and a table that is honest before anything was run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nftlab.report import build, load_report, render
from nftlab.report.find import find_report

ROOT = Path(__file__).resolve().parents[2]


def test_table_1_has_the_80_published_numbers() -> None:
    spec = load_report("nft/table1")
    assert len(spec.published) == len(spec.rows) * len(spec.columns) == 80
    assert all(value.std is not None for value in spec.published.values())
    assert spec.published["CNN-B NFT", "rectangles-image"].mean == 6.27
    beside = ROOT.parent / "shared" / "design" / "published.json"
    if beside.is_file():
        _compare(beside)


def _compare(path: Path) -> None:
    """With the numbers as they were taken from the paper, bold ones included."""
    cells = {(cell.row, cell.column): cell for cell in build(load_report("nft/table1"), None).cells}
    results = json.loads(path.read_text())["results"]
    taken = [result for result in results if result["paper"] == "NFT (Marullo et al., AAAI 2022)" and result["table"] == "Table 1"]
    assert len(taken) == 80
    for result in taken:
        cell = cells[f"{result['arch']} {result['method']}", result["dataset"].replace("_", "-")]
        assert cell.published is not None
        assert (cell.published.mean, cell.published.std, cell.published_better) == (result["mean"], result["std"], result["bold"])


def test_the_small_report_repeats_table_1() -> None:
    small, whole = load_report("nft/mnist-rot-small").published, load_report("nft/table1").published
    assert len(small) == 4
    assert {place: (value.mean, value.std) for place, value in small.items()} == {
        place: (whole[place].mean, whole[place].std) for place in small
    }


def test_an_empty_database_prints_the_whole_table_with_holes() -> None:
    text = render(build(load_report("nft/table1"), None), "md")
    assert text.count("±") == 80 + 1
    assert "Filled: 0 of 80 cells." in text
    assert "algorithm eef, ft" in text


@pytest.mark.parametrize("name", ["nft/mnist-rot-small", "nft/quick", "nft/table1"])
def test_a_shipped_report_opens_with_its_command(name: str) -> None:
    first = find_report(name)[1].read_text().splitlines()[0]
    assert first == f"# nftlab report {name}"
