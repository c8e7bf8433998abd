"""The choice seed by seed: for each seed its own trial, by validation, and what of it is told."""

from __future__ import annotations

import json

import pytest

from nftlab.report import build, explain, render
from nftlab.report.cells import Cell, cells
from tests.report.factory import SPEC, Jobs, report_of, spec_of

PER_SEED = SPEC + "choose: val_error_per_seed\n"


def two_trials() -> Jobs:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[5.0, 9.0, 5.0], test=[1.0, 50.0, 2.0])
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[6.0, 6.0, 6.0], test=[50.0, 3.0, 50.0])
    return jobs


def cell(jobs: Jobs) -> Cell:
    return next(found for found in cells(jobs, spec_of(PER_SEED)) if found.row == "FC-A NFT")


def test_each_seed_has_the_trial_with_its_lowest_validation_error() -> None:
    jobs = two_trials()
    found = cell(jobs)
    assert found.jobs == (jobs[0].job_key, jobs[4].job_key, jobs[2].job_key)
    assert found.mean == pytest.approx(2.0)
    assert found.chosen is not None
    assert found.chosen.val_error == pytest.approx(16 / 3)
    assert "eta_max" not in found.chosen.config
    assert found.chosen.config["network"] == "fc-a"
    assert [found.chose(candidate) for candidate in found.candidates] == [True, True]


def test_by_the_mean_over_seeds_another_is_chosen() -> None:
    found = next(one for one in cells(two_trials(), spec_of()) if one.row == "FC-A NFT")
    assert found.mean == pytest.approx(103 / 3)


def test_test_errors_play_no_part_and_ties_go_to_the_one_launched_first() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[5.0], test=[90.0])
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[5.0], test=[1.0])
    assert cell(jobs).mean == 90.0


def test_a_seed_that_diverged_everywhere_is_told() -> None:
    jobs = two_trials()
    for eta in (500, 2000):
        jobs.add({"algorithm": "nft", "eta_max": eta}, 3, diverged=True)
    found = cell(jobs)
    assert (found.n, found.diverged) == (3, 1)


def test_a_trial_that_diverged_takes_no_seed_from_one_that_did_not() -> None:
    jobs = two_trials()
    jobs.add({"algorithm": "nft", "eta_max": 100}, 0, diverged=True)
    assert (cell(jobs).n, cell(jobs).diverged, cell(jobs).mean) == (3, 0, pytest.approx(2.0))


def test_a_trial_with_some_of_the_seeds_is_among_those_searched() -> None:
    jobs = two_trials()
    jobs.add({"algorithm": "nft", "eta_max": 100}, 0, val_error=1.0)
    assert cell(jobs).jobs[0] == jobs[-1].job_key
    assert (cell(jobs).searched, len(cell(jobs).candidates)) == (3, 3)
    by_mean = next(found for found in cells(jobs, spec_of()) if found.row == "FC-A NFT")
    assert by_mean.searched == 2


def test_nothing_finished_is_a_hole() -> None:
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, 0, state="running")
    assert cell(jobs).mean is None


def test_every_format_says_how_it_was_chosen() -> None:
    report = report_of(two_trials(), spec_of(PER_SEED))
    assert "for each seed of the trial with its lowest validation error" in render(report, "md")
    assert "Chosen by validation error, for each seed by itself" in render(report, "html")
    assert "chosen by validation error, for each seed by itself (*)" in explain(report, "FC-A NFT", "digits")
    told = json.loads(render(report, "json"))
    assert told["choose"] == "val_error_per_seed"
    assert told["cells"][1]["trial"].count("+") == 1
    assert json.loads(render(build(spec_of(), None), "json"))["choose"] == "val_error"
