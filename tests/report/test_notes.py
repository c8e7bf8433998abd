"""What stands below a table counts jobs and trials once, whatever the cells that share them."""

from __future__ import annotations

from nftlab.report import render
from tests.report.factory import Jobs, report_of, spec_of

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
    assert "chosen among 2 trials in all" in render(report_of(jobs, spec_of(SHARED)), "md")


def test_a_search_is_told_though_most_cells_are_holes() -> None:
    jobs = Jobs()
    for eta in (500, 2000):
        jobs.trial({"algorithm": "nft", "eta_max": eta}, val=[1.0] * 3, test=[1.0] * 3)
    assert "chosen among 2 trials in all" in render(report_of(jobs, spec_of()), "latex")
