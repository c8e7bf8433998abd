"""Pausing, resuming, stopping, cancelling, putting first and extending sweeps from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nftlab.store import Queue, open_db
from tests.cli.helpers import JOBS, SWEEP, Invoke, claim, finish, read


def shown(invoke: Invoke) -> dict[str, object]:
    found: dict[str, object] = read(invoke("sweep", "show", "small", "--json"))
    return found


def test_pause_and_resume(launched: Invoke, queue: Queue) -> None:
    claim(queue)
    paused = launched("sweep", "pause", "small")
    assert (paused.exit_code, paused.stdout) == (0, "")
    assert "small is paused: 5 queued jobs wait, 1 running go on; nftlab sweep resume small" in paused.stderr
    assert (shown(launched)["state"], claim(queue)) == ("paused", [])
    assert "nftlab sweep resume small" in launched("sweep", "show", "small").stdout
    assert "small is paused" in launched("sweep", "launch", "small.yaml").stderr
    assert "small is active: 5 queued, 1 running" in launched("sweep", "resume", "small.yaml", "--priority", "4").stderr
    assert (shown(launched)["state"], shown(launched)["priority"], len(claim(queue))) == ("active", 4, 1)


def test_stop_and_cancel(launched: Invoke, queue: Queue) -> None:
    claim(queue)
    assert "small is stopped: 5 jobs cancelled, 1 running will finish" in launched("sweep", "stop", "small").stderr
    assert queue.counts() | {"running": 1, "cancelled": 5} == queue.counts()
    assert launched("sweep", "pause", "small").exit_code == 2
    assert "small is stopped: 1 jobs cancelled" in launched("sweep", "cancel", "small").stderr
    for again in (launched("sweep", "resume", "small"), launched("sweep", "launch", "small.yaml")):
        mend = re.search(r"6 cancelled jobs stay so; nftlab (job retry .*)", again.stderr)
        assert mend, again.stderr
    assert shown(launched)["state"] == "active"
    assert launched(*mend[1].split()).exit_code == 0
    assert queue.counts()["queued"] == JOBS


@pytest.mark.parametrize("verb", ["stop", "cancel"])
def test_more_than_ten_need_a_yes(verb: str, invoke: Invoke, folder: Path) -> None:
    (folder / "small.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 4"))
    invoke("sweep", "launch", "small.yaml")
    refused = invoke("sweep", verb, "small")
    assert (refused.exit_code, shown(invoke)["state"]) == (2, "active")
    assert "--yes" in refused.stderr
    assert "12 jobs cancelled" in invoke("sweep", verb, "small", "--yes").stderr


def test_jobs_in_training_count_for_the_yes_of_a_cancel(invoke: Invoke, folder: Path) -> None:
    (folder / "small.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 4"))
    invoke("sweep", "launch", "small.yaml")
    engine = open_db(None, create=False)
    assert engine is not None
    while claim(Queue(engine), 12):
        pass
    refused = invoke("sweep", "cancel", "small")
    assert (refused.exit_code, Queue(engine).counts()["running"]) == (2, 12)
    assert "cancel 12 jobs needs a yes" in refused.stderr
    assert invoke("sweep", "stop", "small").exit_code == 0, "it ends none of them"


def test_delete_says_what_goes_and_needs_a_yes(launched: Invoke, queue: Queue) -> None:
    finish(queue, claim(queue, 2))
    [running] = claim(queue)
    refused = launched("sweep", "delete", "small", "--yes")
    assert (refused.exit_code, "nftlab sweep cancel" in refused.stderr) == (2, True)
    finish(queue, [running])
    refused = launched("sweep", "delete", "small")
    assert refused.exit_code == 2
    assert "delete sweep small with 6 jobs, 3 finished results and 0.3 s of training needs a yes: add --yes" in refused.stderr
    assert sum(queue.counts().values()) == JOBS
    deleted = launched("sweep", "delete", "small.yaml", "--yes")
    assert (deleted.exit_code, deleted.stdout) == (0, "")
    assert "small is deleted, 6 jobs with it" in deleted.stderr
    assert "nftlab db prune" in deleted.stderr
    assert read(launched("sweep", "list", "--json")) == []
    assert sum(read(launched("status", "--json"))["jobs"].values()) == 0
    assert launched("sweep", "launch", "small.yaml").stdout == "small: 6 jobs added, 0 known\n"


def test_a_priority_that_no_database_could_hold(launched: Invoke) -> None:
    assert launched("sweep", "priority", "small", "99999999999").exit_code == 2


def test_priority(launched: Invoke, folder: Path, queue: Queue) -> None:
    (folder / "late.yaml").write_text(SWEEP.replace("small", "late"))
    launched("sweep", "launch", "late.yaml")
    assert launched("sweep", "priority", "late", "1").exit_code == 0
    assert [job.sweep for job in claim(queue)] == ["late"]
    again = launched("sweep", "launch", "late.yaml")
    assert "late keeps its priority, 1; nftlab sweep priority late 0 gives it the file's" in again.stderr


def test_a_priority_may_be_negative(launched: Invoke) -> None:
    assert "small has priority -12" in launched("sweep", "priority", "small", "-12").stderr
    assert launched("sweep", "priority", "small", "1", "--bd", "x").exit_code == 2
    assert shown(launched)["priority"] == -12


@pytest.mark.parametrize("words", [["pause"], ["resume"], ["stop"], ["cancel"], ["delete"], ["show"], ["export"]])
def test_of_a_sweep_that_was_never_launched(words: list[str], launched: Invoke) -> None:
    result = launched("sweep", *words, "nosuch")
    assert (result.exit_code, result.stdout) == (66, "")
    assert "nosuch" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["pause", "small"],
        ["cancel", "small"],
        ["delete", "small", "--yes"],
        ["show", "small"],
        ["priority", "small", "1"],
        ["extend", "small.yaml"],
    ],
)
def test_without_a_database_nothing_is_created(words: list[str], invoke: Invoke, folder: Path) -> None:
    assert invoke("sweep", *words).exit_code == 66
    assert not (folder / "db").exists()


def test_extend_says_what_is_new_and_adds_only_that(launched: Invoke, folder: Path, queue: Queue) -> None:
    claim(queue)
    (folder / "small.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 3").replace("[500, 2000]", "[500, 2000, 4000]"))
    preview = launched("sweep", "extend", "small.yaml", "--dry-run")
    assert preview.stdout == "small: 6 jobs to add, 6 known\n"
    for told in ("small: new seeds 2", "small: new eta_max 4000.0"):
        assert told in preview.stderr
    assert sum(queue.counts().values()) == JOBS
    extended = launched("sweep", "extend", "small.yaml", "--json", "--priority", "2")
    assert "keeps its priority" not in extended.stderr
    found = read(extended)
    counts = {"jobs_added": 6, "jobs_known": 6, "to_propose": 0, "dropped": 0}
    assert found == {"sweep": "small", **counts, "seeds": [2], "values": {"eta_max": [4000.0]}}
    assert (queue.counts()["queued"], queue.counts()["running"], shown(launched)["priority"]) == (11, 1, 2)
    assert launched("sweep", "extend", "small.yaml").stdout == "small: 0 jobs added, 12 known\n"


def test_extend_refuses_to_drop_jobs(launched: Invoke, folder: Path, queue: Queue) -> None:
    (folder / "small.yaml").write_text(SWEEP.replace("[500, 2000]", "[500, 4000]"))
    preview = launched("sweep", "extend", "small.yaml", "--dry-run")
    assert (preview.exit_code, preview.stdout) == (0, "small: 2 jobs to add, 4 known\n")
    refused = launched("sweep", "extend", "small.yaml")
    assert (refused.exit_code, refused.stdout) == (2, "")
    for told in ("small: new eta_max 4000.0", "small: 2 jobs in the table are no longer asked for"):
        assert told in preview.stderr
        assert told in refused.stderr
    assert "no longer asks for 2 jobs of sweep small" in refused.stderr
    assert sum(queue.counts().values()) == JOBS
    assert launched("sweep", "extend", "small.yaml", "--yes").stdout == "small: 2 jobs added, 4 known\n"
    assert read(launched("sweep", "verify", "small", "--json"))["extra"] == 2


def test_extend_is_for_launched_sweeps(launched: Invoke, folder: Path) -> None:
    (folder / "new.yaml").write_text(SWEEP.replace("small", "new"))
    assert launched("sweep", "extend", "new.yaml").exit_code == 66
