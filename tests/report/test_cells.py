"""From jobs to cells: what is chosen, what is averaged, and what is never hidden."""

from __future__ import annotations

import random
import statistics

import pytest

from nftlab.report.cells import Cell, cells
from tests.report.factory import SPEC, Jobs, spec_of


def cell(jobs: Jobs, row: str = "FC-A NFT", text: str = SPEC) -> Cell:
    return next(found for found in cells(jobs, spec_of(text)) if found.row == row)


def test_cells_come_row_by_row_and_are_holes_without_jobs() -> None:
    found = cells([], spec_of())
    assert [(one.row, one.column) for one in found] == [(row, "digits") for row in ("FC-A CT", "FC-A NFT", "CNN-A CT", "CNN-A NFT")]
    assert all(one.mean is None and one.std is None and one.n == 0 and one.jobs == () and not one.partial for one in found)


def test_the_trial_is_chosen_by_validation_although_test_would_choose_another() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[8.0, 9.0, 10.0], test=[20.0, 21.0, 22.5])
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[9.0, 10.0, 11.0], test=[1.0, 2.0, 3.0])
    found = cell(jobs)
    assert found.chosen is not None
    assert found.chosen.config["eta_max"] == 500
    assert found.mean == pytest.approx(63.5 / 3)
    assert found.std == pytest.approx(statistics.stdev([20.0, 21.0, 22.5]))
    assert found.jobs == tuple(job.job_key for job in jobs[:3])
    assert [candidate.val_error for candidate in found.candidates] == [9.0, 10.0]


def test_an_incomplete_trial_never_beats_a_complete_one() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[1.0, 1.0], test=[1.0, 1.0])
    jobs.add({"algorithm": "nft", "eta_max": 500}, 2, state="running")
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[9.0, 9.0, 9.0], test=[9.0, 9.5, 10.0])
    found = cell(jobs)
    assert (found.mean, found.n, found.partial, found.waiting) == (pytest.approx(9.5), 3, False, True)


def test_without_a_complete_trial_most_seeds_come_first_and_the_cell_is_partial() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[1.0], test=[1.0])
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[9.0, 9.0], test=[9.0, 10.0])
    found = cell(jobs)
    assert (found.mean, found.n, found.asked, found.partial) == (9.5, 2, 3, True)


def test_ties_go_to_the_trial_launched_first_whatever_the_order_of_the_rows() -> None:
    jobs = Jobs()
    for eta in (2000, 500, 1000):
        jobs.trial({"algorithm": "nft", "eta_max": eta}, val=[5.0, 5.0, 5.0], test=[eta, eta, eta])
    shuffled = random.Random(0).sample(jobs, len(jobs))
    assert cell(jobs).mean == 2000
    assert cells(shuffled, spec_of()) == cells(jobs, spec_of())


def test_one_seed_has_a_mean_and_no_deviation() -> None:
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, test_error=4.0)
    assert (cell(jobs).mean, cell(jobs).std, cell(jobs).n) == (4.0, None, 1)


def test_a_diverged_seed_is_shown_and_not_averaged() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft"}, val=[9.0, 9.0], test=[9.0, 10.0])
    lost = jobs.add({"algorithm": "nft"}, 2, diverged=True)
    found = cell(jobs)
    assert (found.mean, found.n, found.diverged, found.partial) == (9.5, 2, 1, True)
    assert found.states == {"diverged": 1, "done": 2}
    assert lost.job_key not in found.jobs


def test_a_diverged_trial_loses_to_one_whose_seeds_are_all_there() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[1.0, 1.0], test=[1.0, 1.0])
    jobs.add({"algorithm": "nft", "eta_max": 500}, 2, diverged=True)
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[9.0, 9.0, 9.0], test=[9.0, 9.0, 9.0])
    assert (cell(jobs).mean, cell(jobs).diverged) == (9.0, 0)


def test_when_all_seeds_diverged_there_is_no_number() -> None:
    jobs = Jobs()
    for seed in range(3):
        jobs.add({"algorithm": "nft"}, seed, diverged=True)
    assert (cell(jobs).mean, cell(jobs).diverged, cell(jobs).states) == (None, 3, {"diverged": 3})


@pytest.mark.parametrize("state", ["queued", "running", "failed", "pruned", "cancelled", "quarantined"])
def test_only_done_jobs_count(state: str) -> None:
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, state=state, val_error=1.0, test_error=1.0)
    assert (cell(jobs).mean, cell(jobs).states) == (None, {state: 1})


def test_a_done_job_without_numbers_is_no_result() -> None:
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, test_error=float("nan"))
    jobs.add({"algorithm": "nft"}, 1, val_error=None)
    assert cell(jobs).mean is None


def test_more_seeds_than_asked_all_count() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft"}, val=[1.0] * 5, test=[1.0, 2.0, 3.0, 4.0, 5.0])
    assert (cell(jobs).mean, cell(jobs).n, cell(jobs).partial) == (3.0, 5, False)


def test_a_trial_of_two_sweeps_counts_each_seed_once() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft"}, val=[1.0, 1.0], test=[1.0, 2.0])
    jobs.add({"algorithm": "nft"}, 1, sweep="again", test_error=100.0)
    jobs.add({"algorithm": "nft"}, 2, sweep="again", test_error=3.0)
    assert (cell(jobs).mean, cell(jobs).n, len(cell(jobs).candidates)) == (2.0, 3, 1)


def test_only_the_named_sweeps_count() -> None:
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, sweep="quick-nft", test_error=1.0)
    jobs.add({"algorithm": "nft"}, 1, sweep="other", test_error=100.0)
    assert cell(jobs, text=SPEC + "sweeps: [quick-*]\n").mean == 1.0
    assert cell(jobs, text=SPEC + "sweeps: none-such\n").mean is None


def test_differences_are_paired_by_seed() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[1.0] * 3, test=[10.0, 20.0, 30.0])
    jobs.add({"algorithm": "nft"}, 2, test_error=29.0)
    jobs.add({"algorithm": "nft"}, 1, test_error=17.0)
    paired = cell(jobs).paired
    assert paired is not None
    assert (paired.baseline, paired.mean, paired.std, paired.seeds) == ("FC-A CT", -2.0, pytest.approx(2**0.5), (1, 2))
    assert cell(jobs, "FC-A CT").paired is None
    assert cell(jobs, "CNN-A NFT").paired is None


def test_better_needs_both_cells_complete() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[1.0] * 3, test=[10.0] * 3)
    jobs.trial({"algorithm": "nft"}, val=[1.0] * 2, test=[5.0] * 2)
    assert not cell(jobs).better
    jobs.add({"algorithm": "nft"}, 2, val_error=1.0, test_error=5.0)
    assert cell(jobs).better
    assert not cell(jobs, "FC-A CT").better


def test_better_is_what_can_be_seen_in_print() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[1.0] * 3, test=[10.002] * 3)
    jobs.trial({"algorithm": "nft"}, val=[1.0] * 3, test=[9.998] * 3)
    assert not cell(jobs).better


def test_the_baseline_may_be_a_column() -> None:
    text = "title: T\nrows: {network: [fc-a]}\ncolumns: {algorithm: [ct, nft]}\nseeds: 1\nbaseline: {algorithm: ct}\n"
    jobs = Jobs()
    jobs.add({"algorithm": "ct"}, test_error=4.0)
    jobs.add({"algorithm": "nft"}, test_error=3.0)
    classic, friendly = cells(jobs, spec_of(text))
    assert (classic.better, friendly.better) == (False, True)
    assert friendly.paired is not None
    assert (friendly.paired.baseline, friendly.paired.mean) == ("ct", -1.0)


def test_published_values_stand_beside_with_the_difference() -> None:
    text = SPEC + "published:\n  source: A paper\n  cells:\n    FC-A CT: [12 ± 0.5]\n    FC-A NFT: [10.5]\n"
    jobs = Jobs()
    jobs.add({"algorithm": "nft"}, test_error=11.0)
    found = cell(jobs, text=text)
    assert found.published is not None
    assert (found.published.mean, found.published.std, found.published.source) == (10.5, None, "A paper")
    assert (found.difference, found.published_better) == (0.5, True)
    assert cell(jobs, "FC-A CT", text).difference is None


def test_seconds_are_the_mean_of_the_printed_jobs() -> None:
    jobs = Jobs()
    for seed, seconds in enumerate((10.0, 20.0)):
        jobs.add({"algorithm": "nft"}, seed, seconds=seconds)
    jobs.add({"algorithm": "nft"}, 2, state="failed", seconds=1000.0)
    assert cell(jobs).seconds == 15.0


def test_another_metric_is_printed_when_asked_for() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft"}, val=[1.0, 2.0, 3.0], test=[9.0] * 3)
    assert cell(jobs, text=SPEC + "metric: val_error\n").mean == 2.0


def test_where_tells_one_from_true() -> None:
    rows = "rows:\n- {label: A, where: {label_conditioning: true}}\n- {label: B, where: {eta_max: [1, 2]}}\n"
    text = f"title: T\n{rows}columns: {{dataset: [digits]}}\nseeds: 1\n"
    jobs = Jobs()
    jobs.add({"algorithm": "nft", "label_conditioning": True, "eta_max": 3.0}, test_error=1.0)
    jobs.add({"algorithm": "nft", "label_conditioning": False, "eta_max": 2.0}, test_error=2.0)
    assert [found.mean for found in cells(jobs, spec_of(text))] == [1.0, 2.0]


def test_only_seeds_that_both_have_are_paired() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[1.0] * 2, test=[10.0, 20.0])
    jobs.trial({"algorithm": "nft"}, val=[1.0] * 3, test=[9.0, 18.0, 1.0])
    found = cell(jobs)
    assert found.paired is not None
    assert (found.paired.mean, found.paired.seeds) == (-1.5, (0, 1))
    assert (found.partial, found.better) == (False, False), "the baseline lacks a seed"


def test_of_as_many_seeds_the_trial_comes_first_of_which_fewer_diverged() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "eta_max": 500}, val=[1.0], test=[1.0])
    jobs.add({"algorithm": "nft", "eta_max": 500}, 1, diverged=True)
    jobs.trial({"algorithm": "nft", "eta_max": 2000}, val=[9.0], test=[9.0])
    assert (cell(jobs).mean, cell(jobs).diverged) == (9.0, 0)
