"""What stands below a table counts jobs and trials once, whatever the cells that share them."""

from __future__ import annotations

import json

import pytest

from nftlab.report import explain, render
from tests.report.factory import SPEC, Jobs, report_of, spec_of

SHARED = """
title: Sensitivity
rows:
  - {label: "500", group: eta_max, where: {eta_max: 500, n_f: 96}}
  - {label: "96", group: n_f, where: {eta_max: 500, n_f: 96}}
columns: {algorithm: [nft]}
"""


def test_a_job_of_two_cells_is_counted_once() -> None:
    jobs = Jobs()
    for seed in range(3):
        jobs.add({"algorithm": "nft", "eta_max": 500, "n_f": 96}, seed, state="queued")
    assert "of their jobs 3 queued." in render(report_of(jobs, spec_of(SHARED)), "md")
    jobs.trial({"algorithm": "nft", "eta_max": 500, "n_f": 96, "lr": 0.1}, val=[1.0] * 3, test=[1.0] * 3)
    assert "chosen among" not in render(report_of(jobs, spec_of(SHARED)), "md"), "the first trial was never in the choice"
    jobs.trial({"algorithm": "nft", "eta_max": 500, "n_f": 96, "lr": 0.2}, val=[1.0] * 3, test=[1.0] * 3)
    assert "chosen among 2 trials in all" in render(report_of(jobs, spec_of(SHARED)), "md")


def test_bold_is_told_of_groups_though_the_first_row_has_none() -> None:
    lines = [("", "a", "{algorithm: eef}"), ("G", "CT", "{algorithm: ct}"), ("G", "NFT", "{algorithm: nft}")]
    rows = "".join(f"- {{label: {label}, group: '{group}', where: {where}}}\n" for group, label, where in lines)
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[2.0] * 3, test=[2.0] * 3)
    jobs.trial({"algorithm": "nft"}, val=[1.0] * 3, test=[1.0] * 3)
    report = report_of(jobs, spec_of(f"title: T\nrows:\n{rows}columns: {{dataset: [digits]}}\nbaseline: {{algorithm: ct}}\n"))
    for fmt in ("md", "html"):
        assert "Bold: mean below that of CT in the same group." in render(report, fmt)
    assert '<tbody class="grouped">' in render(report, "html").split("</table>")[0]


@pytest.mark.parametrize(("choose", "searched"), [("val_error", 2), ("val_error_per_seed", 3)])
def test_trials_searched_are_one_number_on_a_page(choose: str, searched: int) -> None:
    jobs = Jobs()
    for eta in (500, 1000):
        jobs.trial({"algorithm": "nft", "eta_max": eta}, val=[1.0] * 3, test=[1.0] * 3)
    jobs.trial({"algorithm": "nft", "eta_max": 1500}, val=[1.0], test=[1.0])
    jobs.add({"algorithm": "nft", "eta_max": 2000}, state="queued")
    report = report_of(jobs, spec_of(f"{SPEC}choose: {choose}\n"))
    page = render(report, "md")
    assert f"chosen among {searched} trials in all" in page
    assert f"of {searched} configurations (4 launched)" in page
    assert json.loads(render(report, "json"))["cells"][1]["searched"] == searched
    assert f"{searched} trials searched (4 launched); chosen" in explain(report, "FC-A NFT", "digits")


def test_a_search_is_told_though_most_cells_are_holes() -> None:
    jobs = Jobs()
    for eta in (500, 2000):
        jobs.trial({"algorithm": "nft", "eta_max": eta}, val=[1.0] * 3, test=[1.0] * 3)
    assert "chosen among 2 trials in all" in render(report_of(jobs, spec_of()), "latex")


@pytest.mark.parametrize(("seeds", "claim"), [(1, "1 seed an"), (5, "0.062 at best"), (6, None)])
def test_that_no_test_could_reach_is_told_of_few_seeds_only(seeds: int, claim: str | None) -> None:
    jobs = Jobs()
    for algorithm in ("ct", "nft"):
        jobs.trial({"algorithm": algorithm}, val=[1.0] * seeds, test=[1.0] * seeds)
    page = render(report_of(jobs, spec_of(f"{SPEC}seeds: {seeds}\n")), "md")
    assert ("No significance is claimed" in page) == (claim is not None)
    assert claim is None or claim in page


def test_of_a_number_that_may_change_it_is_said_even_when_all_its_seeds_are_there() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[1.0] * 3, test=[1.0] * 3)
    assert "may change" not in render(report_of(jobs, spec_of()), "md")
    jobs.add({"algorithm": "nft", "eta_max": 2000}, state="queued")
    assert "queued or running; its number may change." in render(report_of(jobs, spec_of()), "md")
