"""What the commands say about searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.search import Proposer
from nftlab.store import Queue, Worker, open_db
from tests.cli.helpers import SWEEP, Invoke, claim, finish, read
from tests.cli.test_startup import HEAVY, loaded

SEARCH = """
name: found
method: bayes
run_cap: 3
parameters:
  dataset: {value: digits}
  lr: {min: 0.001, max: 0.1}
nftlab: {seeds: 2, sampler: {name: random}, pruner: {name: median}}
"""
REPORT = """
title: A search
rows: {algorithm: {CT: ct}}
columns: {dataset: [digits]}
sweeps: [found]
metric: test_error
choose: val_error
seeds: 2
"""


@pytest.fixture
def searching(folder: Path, invoke: Invoke) -> Invoke:
    """The command in a folder with a search and a report of it."""
    (folder / "found.yaml").write_text(SEARCH)
    (folder / "report.yaml").write_text(REPORT)
    return invoke


def test_a_search_from_launch_to_report(searching: Invoke) -> None:
    dry = searching("sweep", "launch", "found.yaml", "--dry-run")
    assert dry.stdout.startswith("found: 3 configurations × 2 seeds = 6 jobs\nproposed by random while workers train: none is known yet\n")
    assert read(searching("sweep", "launch", "found.yaml", "--dry-run", "--json"))["forecast"]["unknown_jobs"] == 6
    launched = searching("sweep", "launch", "found.yaml")
    assert launched.stdout == "found: 0 jobs added, 0 known\n"
    assert "found: 6 jobs more will be proposed while workers train" in launched.stderr
    assert "6 jobs are still to be proposed" in searching("status").stdout
    assert searching("sweep", "verify", "found").stdout == "found: 0 of 6 recorded; 6 missing\n"
    engine = open_db(None, create=False)
    assert engine is not None
    queue, proposer = Queue(engine), Proposer(engine, Worker("tester", "here", 1), print)
    assert proposer.propose(4) == 4
    first, second, *others = claim(queue, 4)
    finish(queue, [first, second])
    assert read(searching("status", "--json"))["to_propose"] == 2
    shown = read(searching("sweep", "show", "found", "--json"))
    assert (shown["to_propose"], shown["progress"]) == (2, 0.3333)
    searching("sweep", "pause", "found")
    assert read(searching("sweep", "show", "found", "--json"))["to_propose"] == 2
    searching("sweep", "resume", "found")
    assert "jobs: 4, 2 running, 2 done; 2 still to be proposed, what is left is without them" in searching("sweep", "show", "found").stdout
    assert searching("report", "report.yaml").exit_code == 0
    queue.prune([(other, "behind") for other in others])
    assert proposer.propose(4) == 2
    finish(queue, claim(queue, 2))
    assert searching("sweep", "verify", "found").stdout == "found: complete, 6 runs recorded exactly once\n"
    [cell] = read(searching("report", "report.yaml", "--format", "json"))["cells"]
    assert (cell["mean"], cell["n"]) == (6.0, 2)
    assert {job["state"] for job in read(searching("job", "list", "--json"))} == {"done", "pruned"}


def test_extend_says_what_a_larger_run_cap_leaves_to_propose(searching: Invoke, folder: Path) -> None:
    searching("sweep", "launch", "found.yaml")
    engine = open_db(None, create=False)
    assert engine is not None
    assert Proposer(engine, Worker("tester", "here", 1), print).propose(2) == 2
    (folder / "found.yaml").write_text(SEARCH.replace("run_cap: 3", "run_cap: 5"))
    preview = searching("sweep", "extend", "found.yaml", "--dry-run")
    assert preview.stdout == "found: 0 jobs to add, 2 known\n"
    assert "found: 8 jobs more will be proposed while workers train (4 as it stands)" in preview.stderr
    assert read(searching("sweep", "extend", "found.yaml", "--json"))["to_propose"] == 8
    assert read(searching("status", "--json"))["to_propose"] == 8


@pytest.mark.parametrize(
    ("early", "told", "epochs"),
    [
        ("min_iter: 1, eta: 2", "early_terminate: judged after epochs 1, 2", [1, 2]),  # after 4 a job is done
        ("max_iter: 9, s: 1", "early_terminate: judged after epoch 3", [3]),
        ("min_iter: 4", "early_terminate never fires: with min_iter 4 no decision falls before a job's last epoch, which is 4 at most", []),
        ("min_iter: 5", "early_terminate never fires: with min_iter 5 no decision falls before a job's last epoch, which is 4 at most", []),
    ],
)
def test_when_jobs_are_judged_is_told(early: str, told: str, epochs: list[int], invoke: Invoke, folder: Path) -> None:
    pruner = f"early_terminate: {{type: hyperband, {early}, strict: true}}\n"
    (folder / "small.yaml").write_text(SWEEP.replace("value: 2}", "values: [1, 4]}") + pruner)
    dry = invoke("sweep", "launch", "small.yaml", "--dry-run", "--json")
    assert read(dry)["pruner"] == {"name": "early_terminate", "judged_after": epochs}
    for result in (dry, invoke("sweep", "launch", "small.yaml")):
        assert f"small: {told}" in result.stderr.splitlines()
    assert told in invoke("sweep", "show", "small").stdout.splitlines()
    assert read(invoke("sweep", "show", "small", "--json"))["pruner"] == read(dry)["pruner"]


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ("epochs: {min: 3, max: 5}", "median: judged after epochs 1, 2, 3, 4"),
        ("epochs: {values: [3, 5]}", "median: judged after epochs 1, 2, 3, 4"),
        ("momentum: {value: 0.5}", "median: judged after epochs 1, 2, 3, …, 199"),
    ],
)
def test_when_jobs_of_a_search_are_judged(parameter: str, told: str, searching: Invoke, folder: Path) -> None:
    (folder / "found.yaml").write_text(SEARCH.replace("parameters:", f"parameters:\n  {parameter}"))
    assert f"found: {told}" in searching("sweep", "launch", "found.yaml").stderr.splitlines()
    assert told in searching("sweep", "show", "found").stdout.splitlines()


def test_launching_again_drops_no_proposal(searching: Invoke, folder: Path) -> None:
    searching("sweep", "launch", "found.yaml")
    engine = open_db(None, create=False)
    assert engine is not None
    assert Proposer(engine, Worker("tester", "here", 1), print).propose(4) == 4
    assert searching("sweep", "launch", "found.yaml").stdout == "found: 0 jobs added, 4 known\n"
    (folder / "found.yaml").write_text(SEARCH.replace("run_cap: 3", "run_cap: 5").replace("seeds: 2", "seeds: 3"))
    assert searching("sweep", "launch", "found.yaml").stdout == "found: 2 jobs added, 4 known\n"
    (folder / "found.yaml").write_text(SEARCH.replace("bayes", "random").replace("sampler: {name: random}, ", ""))
    refused = searching("sweep", "launch", "found.yaml")
    assert (refused.exit_code, "no longer asks for 6 jobs of sweep found" in refused.stderr) == (2, True)


@pytest.mark.ci
def test_launching_and_reading_a_search_needs_no_optuna(searching: Invoke) -> None:
    assert loaded("sweep", "launch", "found.yaml") & (HEAVY - {"alembic"}) == set()
    for command in (("sweep", "launch", "found.yaml"), ("sweep", "verify", "found"), ("status",)):
        assert loaded(*command) & HEAVY == set()
