"""Sweeps as `sweep list`, `sweep show` and `sweep export` print them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nftlab.cli import export
from nftlab.store import Queue
from tests.cli.helpers import JOBS, SWEEP, Invoke, claim, finish, learn, read


@pytest.fixture
def worked(launched: Invoke, queue: Queue) -> Invoke:
    """The command; two jobs are done, one diverges in training, one failed."""
    finish(queue, claim(queue, 2))
    finish(queue, claim(queue), error=float("nan"))
    queue.fail(claim(queue)[0], "Traceback\nValueError: no luck", cause="config")
    return launched


def records(result: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(result.stdout.splitlines()))


def test_show_tells_code_jobs_progress_cost_and_failures(worked: Invoke) -> None:
    learn("nft", 3600.0)
    text = worked("sweep", "show", "small").stdout
    jobs = f"jobs: {JOBS}, 2 queued, 3 done, 1 failed"
    for told in ("sweep small: active, priority 0", "from small.yaml, code ", jobs, "recorded: 50 %", "device-hours", "no luck"):
        assert told in text
    found = read(worked("sweep", "show", "small", "--json"))
    assert (found["sweep"], found["state"], found["progress"], found["jobs"]["done"]) == ("small", "active", 0.5, 3)
    assert found["seconds"] == pytest.approx(0.3)
    assert found["forecast"]["unknown_jobs"] == 0
    assert found["code"].keys() >= {"git_sha", "dirty"}


def test_show_ends_with_the_best_trials(launched: Invoke, queue: Queue, folder: Path) -> None:
    assert "best trials" not in launched("sweep", "show", "small").stdout
    assert read(launched("sweep", "show", "small", "--json"))["best"] == []
    for error in (8.0, 9.0, 3.0, 4.0, 2.0):  # ct, then nft with eta_max 500, then one seed of 2000
        finish(queue, claim(queue), error)
    lines = [line.split("\t") for line in launched("sweep", "show", "small").stdout.splitlines()]
    assert lines[-5:-3] == [["best trials, mean ± std over seeds:"], ["rank", "val/error", "seeds", "trial", "algorithm", "eta_max"]]
    assert [[*line[:3], *line[4:]] for line in lines[-3:]] == [
        ["1", "3.50 ± 0.71", "2", "nft", "500.0"],
        ["2", "8.50 ± 0.71", "2", "ct", "–"],
        ["3", "2.00", "1 of 2", "nft", "2000.0"],
    ]
    best = read(launched("sweep", "show", "small", "--json"))["best"]
    assert [(trial["rank"], trial["trial"]) for trial in best] == [(int(line[0]), line[3]) for line in lines[-3:]]
    assert (best[0]["mean"], best[0]["n"], best[0]["asked"], best[0]["config"]["eta_max"]) == (3.5, 2, 2, 500.0)
    assert (best[0]["std"], best[2]["std"]) == (pytest.approx(0.7071, abs=1e-4), None)
    assert best[0]["trial"] == read(launched("job", "list", "--where", "eta_max=500", "--json"))[0]["trial"]


def test_list_tells_state_progress_and_cost(worked: Invoke) -> None:
    [found] = read(worked("sweep", "list", "--json"))
    assert (found["sweep"], found["state"], found["progress"], found["eta_seconds"]) == ("small", "active", 0.5, None)
    columns, line = worked("sweep", "list").stdout.splitlines()
    told = dict(zip(columns.split("\t"), line.split("\t"), strict=True))
    assert (told["sweep is"], told["recorded"], told["trained"], told["done"], told["left"]) == ("active", "50 %", "0.3 s", "3", "–")


def test_export_of_jobs(worked: Invoke, folder: Path) -> None:
    rows = records(worked("sweep", "export", "small"))
    assert len(rows) == JOBS
    assert (rows[0]["sweep"], rows[0]["seed"], rows[0]["state"], rows[0]["val_error"], rows[0]["diverged"]) == (
        "small",
        "0",
        "done",
        "5.0",
        "false",
    )
    assert {row["eta_max"] for row in rows} == {"", "500.0", "2000.0"}, "ct has none"
    assert [row["state"] for row in records(worked("sweep", "export", "small", "--state", "failed", "--where", "algorithm=nft"))] == [
        "failed"
    ]
    lines = worked("sweep", "export", "small", "--format", "jsonl", "--seed", "1").stdout.splitlines()
    assert {json.loads(line)["seed"] for line in lines} == {1}
    told = worked("sweep", "export", "small", "--out", "a/jobs.jsonl")
    assert (told.stdout, f"{JOBS} rows in" in told.stderr) == ("", True)
    assert [path.name for path in (folder / "a").iterdir()] == ["jobs.jsonl"]
    assert len((folder / "a" / "jobs.jsonl").read_text().splitlines()) == JOBS


def test_export_of_curves(worked: Invoke) -> None:
    rows = records(worked("sweep", "export", "small", "--curves"))
    assert [(row["epoch"], row["val/error"]) for row in rows] == [("1", "5.0"), ("1", "5.0"), ("1", "")]
    points = [json.loads(line) for line in worked("sweep", "export", "small", "--curves", "--format", "jsonl").stdout.splitlines()]
    assert [point["val/error"] for point in points] == [5.0, 5.0, None]
    assert worked("sweep", "export", "small", "--curves", "--state", "queued").stdout == ""


def test_export_of_several_sweeps_in_one_file(worked: Invoke, folder: Path) -> None:
    (folder / "again.yaml").write_text(SWEEP.replace("small", "again"))
    worked("sweep", "launch", "again.yaml")
    rows = records(worked("sweep", "export", "small", "again.yaml"))
    assert Counter(row["sweep"] for row in rows) == {"small": JOBS, "again": JOBS}
    assert len({(row["trial"], row["seed"]) for row in rows}) == JOBS, "they ask for the same configurations"
    curves = records(worked("sweep", "export", "again", "small", "small", "--curves"))
    assert [row["sweep"] for row in curves] == ["small"] * 3
    unknown = worked("sweep", "export", "small", "agian")
    assert (unknown.exit_code, "'agian'" in unknown.stderr, unknown.stdout) == (66, True, "")


def test_no_text_of_an_export_is_a_formula() -> None:
    text = export._csv([{"error": '=HYPERLINK("x")', "val_error": -1.5, "seed": 0, "diverged": False, "@x": None}])
    assert list(csv.reader(io.StringIO(text))) == [
        ["error", "val_error", "seed", "diverged", "'@x"],
        ['\'=HYPERLINK("x")', "-1.5", "0", "false", ""],
    ]


def test_export_says_what_it_cannot(worked: Invoke, folder: Path) -> None:
    assert worked("sweep", "export", "small", "--format", "xls").exit_code == 2
    (folder / "file").touch()
    refused = worked("sweep", "export", "small", "--out", "file/jobs.csv")
    assert refused.exit_code == 69
    assert "--out" in refused.stderr
