"""A printed number, walked back."""

from __future__ import annotations

import json

import pytest

from nftlab.errors import NotFoundError
from nftlab.report import Report, explain, explain_json
from nftlab.report.provenance import sweep_lines
from tests.report.factory import SPEC, Jobs, curve, report_of, spec_of

SOURCE = """\
name: my-sweep
parameters:
  algorithm: {value: nft}
  eta_max:
    values: [500, 2000]
nftlab: {seeds: 3}
"""


@pytest.fixture
def report() -> Report:
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[9.0] * 3, test=[10.0, 10.2, 10.4])
    jobs.trial({"algorithm": "nft", "eta_max": 500.0}, val=[8.0, 8.5, 9.0], test=[9.0, 9.3, 9.6])
    jobs.trial({"algorithm": "nft", "eta_max": 2000.0}, val=[9.0, 8.5, 9.0], test=[1.0, 1.0, 1.0])
    spec = spec_of(SPEC + "published: {source: A paper, cells: {FC-A NFT: [9.2 ± 0.1]}}\n")
    return report_of(jobs, spec, {job.job_key: curve(90, 10, job.seed) for job in jobs}, SOURCE)


def test_the_story_of_a_cell(report: Report) -> None:
    told = explain(report, "FC-A NFT", "digits")
    for line in (
        "FC-A NFT, digits: 9.30 ± 0.30",
        "published: 9.20 ± 0.10 (A paper); ours − published +0.10",
        "difference to FC-A CT, paired by seed: −0.90 ± 0.10 (seeds 0, 1, 2)",
        "2 trials searched; chosen by mean validation error over seeds (*)",
        "  eta_max: 500.0",
        "  sweeps/mine.yaml:3: algorithm: {value: nft}",
        "  sweeps/mine.yaml:4: eta_max:",
        "  sweeps/mine.yaml:6: nftlab: {seeds: 3}",
    ):
        assert line in told.splitlines()
    chosen, other = (line for line in told.splitlines() if "/3 seeds" in line)
    assert chosen.startswith("* ")
    assert chosen.endswith("8.50 %  3/3 seeds  eta_max=500.0")
    assert other.startswith("  ")
    assert (
        "seed 1  done  validation 8.50 %, test 9.30 % at epoch 7  35.0 s  attempts 1  code 0123456789ab  cpu  torch 2.14.1  pack of 6"
        in told
    )


def test_test_errors_of_trials_that_lost_are_not_told(report: Report) -> None:
    assert "1.00" not in explain(report, "FC-A NFT", "digits")


@pytest.mark.parametrize(("row", "column"), [("fc-a nft", "Digits"), ("2", "1")])
def test_a_cell_is_found_by_label_or_number(report: Report, row: str, column: str) -> None:
    assert explain(report, row, column) == explain(report, "FC-A NFT", "digits")


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("FC-A NTF", "digits", r"no row 'FC-A NTF' \(did you mean 'FC-A NFT'\?\); the rows are FC-A CT, FC-A NFT"),
        ("NFT", "digits", "row 'NFT' is in several groups; name one of FC-A NFT, CNN-A NFT"),
        ("1", "digit", "no column 'digit' .did you mean 'digits'"),
        ("0", "digits", "no row '0'"),
        ("5", "digits", "no row '5'"),
    ],
)
def test_what_is_not_there_is_said(report: Report, row: str, column: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        explain(report, row, column)


def test_a_hole_is_explained_too(report: Report) -> None:
    assert "no job of this cell was launched" in explain(report, "CNN-A CT", "digits")


def test_a_line_that_sets_much_is_listed_once() -> None:
    assert sweep_lines("parameters: {lr: {value: 1}, epochs: {value: 2}}\nnftlab: {seeds: 3, retries: 1}\n") == [
        (1, "parameters: {lr: {value: 1}, epochs: {value: 2}}"),
        (2, "nftlab: {seeds: 3, retries: 1}"),
    ]


def test_the_same_as_json(report: Report) -> None:
    told = explain_json(report, "FC-A NFT", "digits")
    assert json.loads(json.dumps(told)) == told
    assert told["mean"] == pytest.approx(9.3)
    assert [run["seed"] for run in told["runs"]] == [0, 1, 2, 0, 1, 2]
    assert told["runs"][0]["pack_size"] == 6
    assert told["curve"][-1]["n"] == 3
    assert told["sweeps"][0]["lines"][1] == {"line": 4, "text": "eta_max:"}
