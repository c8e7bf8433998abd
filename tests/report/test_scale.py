"""Scaled-down reports: marked in every format, and never mixed with full ones."""

from __future__ import annotations

import json

import pytest

from nftlab.errors import UsageError
from nftlab.report import at_scale, render, scaled_name
from nftlab.report.model import Picture
from nftlab.report.scale import counts
from tests.report.factory import SPEC, Jobs, report_of, spec_of


@pytest.mark.parametrize(
    ("sweeps", "sweep", "full", "small"),
    [
        ("", "nft/a", True, False),
        ("", "nft/a-at-0.05", False, True),
        ("", "nft/a-at-0.1", False, False),
        ("sweeps: [nft/*]\n", "nft/a", True, False),
        ("sweeps: [nft/*]\n", "nft/a-at-0.05", False, True),
        ("sweeps: [nft/a]\n", "nft/a-at-0.05", False, True),
        ("sweeps: [nft/a-at-0.05]\n", "nft/a-at-0.05", True, False),
        ("sweeps: [nft/b]\n", "nft/a-at-0.05", False, False),
    ],
)
def test_full_and_scaled_down_sweeps_never_count_for_the_same_report(sweeps: str, sweep: str, full: bool, small: bool) -> None:
    spec = spec_of(SPEC + sweeps)
    assert (counts(sweep, spec), counts(sweep, at_scale(spec, 0.05))) == (full, small)


def test_every_format_is_marked() -> None:
    spec = at_scale(spec_of(), 0.05)
    jobs = Jobs()
    for seed in range(3):
        jobs.add({"algorithm": "ct"}, seed, sweep="my-sweep-at-0.05")
    report = report_of(jobs, spec)
    assert report.cells[0].n == 3
    for fmt in ("md", "latex", "html", "json"):
        text = render(report, fmt)
        assert "A table (scaled down to 0.05)" in text
        assert "Not the published experiment" in text
    assert json.loads(render(report, "json"))["scale"] == 0.05
    assert render(report, "latex").startswith("% nftlab report my/table --scale 0.05\n")
    assert "nftlab report my/table --scale 0.05" in render(report, "html")
    assert "my/table-at-0.05" in render(report, "csv")


def test_networks_are_shown_as_much_earlier_as_training_ends() -> None:
    spec = spec_of(SPEC + "figure: {picture: boundary, epochs: [1, 10, 40, 100, 200]}\n")
    figure = at_scale(spec, 0.05).figure
    assert isinstance(figure, Picture)
    assert figure.epochs == (1, 2, 5, 10)


def test_scale_1_is_the_report_itself() -> None:
    assert at_scale(spec_of(), 1) is not None
    assert at_scale(spec_of(), 1).name == "my/table"
    assert scaled_name("nft/a", 1) == "nft/a"


@pytest.mark.parametrize("scale", [0, -1, 1.5, 1e-9, float("nan")])
def test_other_scales_are_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="scale"):
        at_scale(spec_of(), scale)
