"""A data set's name may stand for other examples than yesterday: what numbers were trained on is told wherever it differs."""

from __future__ import annotations

import json

import pytest

from nftlab.report import explain, explain_json, render
from tests.report.factory import SPEC, Jobs, report_of, spec_of

OLD, NEW = '"made, seed 0" (sha256 000000000000)', '"made, seed 7" (sha256 777777777777)'


def ran(seed: int) -> dict[str, object]:
    """What an attempt records that trained on what was made with this seed."""
    return {"device": "cpu", "data": f"made, seed {seed}", "data_sha": str(seed) * 64}


def notes_of(jobs: Jobs) -> list[str]:
    told = json.loads(render(report_of(jobs, spec_of(SPEC)), "json"))["notes"]
    return [note for note in told if note.startswith("Not the same data")]


def both(first: list[int], second: list[int], **config: object) -> Jobs:
    """Jobs of two rows, trained on what was made with these seeds."""
    jobs = Jobs()
    for algorithm, made in (("ct", first), ("nft", second)):
        for seed, of in enumerate(made):
            jobs.add({"algorithm": algorithm, **config}, seed, circumstances=ran(of))
    return jobs


def test_the_same_data_need_no_note() -> None:
    assert notes_of(both([0, 0], [0, 0])) == []
    old = both([0], [])
    old.add({"algorithm": "ct"}, 1)  # an attempt that recorded no data
    assert notes_of(old) == []


def test_data_that_differ_within_a_cell_are_told_in_every_format() -> None:
    jobs = both([0, 7], [0, 0])
    assert notes_of(jobs) == [f"Not the same data: jobs on digits were trained on {OLD} and {NEW}, mixed within the cell FC-A CT, digits."]
    for fmt in ("md", "latex", "html"):
        page = render(report_of(jobs, spec_of(SPEC)), fmt)
        assert "Not the same data" in page
        assert page == render(report_of(jobs, spec_of(SPEC)), fmt)


def test_data_that_differ_between_cells_are_told() -> None:
    assert notes_of(both([0, 0], [7, 7])) == [
        f"Not the same data: jobs on digits were trained on {OLD} and {NEW}, though never mixed within a cell."
    ]


def test_a_trial_that_was_not_chosen_was_compared_too() -> None:
    jobs = both([0, 0], [])
    jobs.add({"algorithm": "ct", "lr": 0.1}, 0, circumstances=ran(7), val_error=50.0)
    assert "mixed within the cell FC-A CT, digits." in notes_of(jobs)[0]


def test_of_many_mixed_cells_a_few_are_named() -> None:
    columns = "columns: [" + ", ".join(f"{{label: c{n}, where: {{lr: 0.{n}}}}}" for n in range(1, 6)) + "]"
    jobs = Jobs()
    for n in range(1, 6):
        for seed in range(2):
            jobs.add({"lr": float(f"0.{n}")}, seed, circumstances=ran(7 * seed))
    told = render(report_of(jobs, spec_of(f"title: T\nrows: {{algorithm: {{CT: ct}}}}\n{columns}\n")), "md")
    assert "mixed within the cells CT, c1; CT, c2; CT, c3; and 2 more." in told


@pytest.mark.parametrize("state", ["queued", "failed"])
def test_a_job_without_a_number_is_not_counted(state: str) -> None:
    jobs = both([0, 0], [])
    jobs.add({"algorithm": "ct"}, 2, state=state, circumstances=ran(7))
    assert notes_of(jobs) == []


def test_another_share_of_the_rows_was_asked_for() -> None:
    jobs = both([0, 0], [])
    for seed in range(2):
        jobs.add({"algorithm": "nft", "data_share": 0.05}, seed, circumstances=ran(7))
    assert notes_of(jobs) == []


def test_a_walk_back_names_the_data_of_each_seed() -> None:
    report = report_of(both([0, 7, 0], [0, 0, 0]), spec_of(SPEC))
    told = explain(report, "FC-A CT", "digits")
    assert f"data\n  {OLD}: seeds 0, 2\n  {NEW}: seed 1\n" in told
    assert "Not the same data" in told
    other = explain(report, "FC-A NFT", "digits")
    assert f"data\n  {OLD}: seeds 0, 1, 2\n" in other
    assert "Not the same data" not in other
    values = explain_json(report, "FC-A CT", "digits")
    assert [(run["data"], run["data_sha"]) for run in values["runs"]][1] == ("made, seed 7", "7" * 64)
    assert any("Not the same data" in note for note in values["notes"])
