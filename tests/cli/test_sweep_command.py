from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.store import Queue, open_db
from tests.cli.helpers import JOBS, SWEEP, Invoke, claim, finish, finish_all, learn, read


def test_launch_adds_each_run_once(invoke: Invoke) -> None:
    first, second = invoke("sweep", "launch", "small.yaml", "--json"), invoke("sweep", "launch", "small.yaml", "--json")
    assert read(first) == {"sweep": "small", "jobs_added": JOBS, "jobs_known": 0}
    assert read(second) == {"sweep": "small", "jobs_added": 0, "jobs_known": JOBS}


def test_launch_says_where_what_was_dropped_and_what_comes_next(invoke: Invoke, folder: Path) -> None:
    result = invoke("sweep", "launch", "small.yaml")
    assert result.stdout == f"small: {JOBS} jobs added, 0 known\n"
    for told in ("eta_max", f"sqlite:///{folder}/db/nftlab.sqlite", "nftlab worker --drain"):
        assert told in result.stderr


def test_launch_of_a_folder_gives_every_sweep_and_totals(invoke: Invoke, folder: Path) -> None:
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / "more" / "a.yaml").write_text(SWEEP.replace("small", "a"))
    (folder / "more" / "deep" / "b.yaml").write_text(SWEEP.replace("small", "b"))
    found = read(invoke("sweep", "launch", "more", "small.yaml", "--json"))
    assert [sweep["sweep"] for sweep in found["sweeps"]] == ["a", "b", "small"]
    assert (found["jobs_added"], found["jobs_known"]) == (3 * JOBS, 0)


def test_a_shipped_sweep_launches_from_any_folder(invoke: Invoke) -> None:
    result = invoke("sweep", "launch", "sweeps/nft/quick.yaml", "--json")
    assert read(result)["sweep"] == "quick-nft"


def test_the_database_may_be_named_after_the_command_or_in_the_environment(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("sweep", "launch", "small.yaml", "--db", f"sqlite:///{folder}/one.sqlite").exit_code == 0
    monkeypatch.setenv("NFTLAB_DB", str(folder / "two.sqlite"))
    assert invoke("sweep", "launch", "small.yaml").exit_code == 0
    assert {path.name for path in folder.glob("*.sqlite")} == {"one.sqlite", "two.sqlite"}
    assert not (folder / "db").exists()


def test_dry_run_shows_the_ends_and_creates_nothing(invoke: Invoke, folder: Path) -> None:
    (folder / "long.yaml").write_text(SWEEP.replace("small", "long").replace("[500, 2000]", "[1, 2, 3, 4, 5, 6, 7, 8, 9]"))
    result = invoke("sweep", "launch", "long.yaml", "--dry-run")
    lines = result.stdout.splitlines()
    told = "20 jobs of unknown speed: the first worker measures them"
    assert lines[0] == "long: 10 configurations × 2 seeds = 20 jobs"
    assert [line.split("\t")[0] for line in lines[1:]] == ["#", "1", "2", "3", "…", "8", "9", "10", told]
    assert lines[2].split("\t") == ["1", "ct", "–"]
    assert "eta_max" in result.stderr
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "long.yaml"}


def test_a_parameter_that_came_later_is_shown_wherever_trials_are_told_apart(invoke: Invoke, folder: Path) -> None:
    """The table does not name its default."""
    file = folder / "norm.yaml"
    file.write_text("method: grid\nparameters: {normalize: {values: [channels]}, epochs: {value: 2}}\nname: norm\n")
    assert invoke("sweep", "launch", "norm.yaml").exit_code == 0
    file.write_text(file.read_text().replace("[channels]", "[none, channels]"))
    dry = invoke("sweep", "launch", "norm.yaml", "--dry-run").stdout.splitlines()
    assert [line.split("\t") for line in dry[1:4]] == [["#", "algorithm", "normalize"], ["1", "ct", "none"], ["2", "ct", "channels"]]
    assert "norm: new normalize none" in invoke("sweep", "extend", "norm.yaml", "--dry-run").stderr
    assert invoke("sweep", "extend", "norm.yaml").exit_code == 0
    engine = open_db(None, create=False)
    assert engine is not None
    queue = Queue(engine)
    while job := claim(queue):  # of another kind each
        finish(queue, job)
        assert job[0].config["normalize"] in ("none", "channels")
    trials = read(invoke("sweep", "show", "norm", "--json"))["best"]
    assert sorted(trial["config"]["normalize"] for trial in trials) == ["channels", "none"]


def test_dry_run_as_json(invoke: Invoke) -> None:
    assert read(invoke("sweep", "launch", "small.yaml", "--dry-run", "--json")) == {
        "sweep": "small",
        "jobs": 6,
        "trials": 3,
        "seeds": [0, 1],
        "pruner": None,
        "dropped": 0,
        "forecast": {"device_hours": 0.0, "low": 0.0, "high": 0.0, "unknown_jobs": 6, "workers": 0, "hours": 0.0, "devices": []},
    }


def test_dry_run_tells_the_cost_that_the_job_table_knows(invoke: Invoke, folder: Path) -> None:
    learn("ct", 9.0)
    line = invoke("sweep", "launch", "small.yaml", "--dry-run").stdout.splitlines()[-1]
    told = "about 36.0 device-seconds (27.0 to 54.0) on NVIDIA H200; 4 jobs of unknown speed: the first worker measures them"
    assert line == told, "two seeds × two epochs × nine seconds"
    learn("nft", 3600.0)
    assert invoke("sweep", "launch", "small.yaml", "--dry-run").stdout.splitlines()[-1].startswith("about 8.0 device-hours (6.0 to 12.0)")
    (folder / "twin.yaml").write_text(SWEEP.replace("small", "twin"))
    both = read(invoke("sweep", "launch", "small.yaml", "twin.yaml", "--dry-run", "--json"))
    assert (both["jobs"], both["forecast"]["unknown_jobs"], both["forecast"]["device_hours"]) == (2 * JOBS, 0, 16.02)
    assert read(invoke("status", "--json"))["jobs"]["queued"] == 0


def test_dry_run_goes_on_where_the_job_table_cannot_be_read(invoke: Invoke) -> None:
    result = invoke("sweep", "launch", "small.yaml", "--dry-run", "--db", "sqlite:///small.yaml")
    assert result.exit_code == 0
    assert "no speeds from the job table: " in result.stderr
    assert result.stdout.splitlines()[-1].startswith(f"{JOBS} jobs of unknown speed")
    assert invoke("sweep", "launch", "small.yaml", "--dry-run", "--db", "nonsense://").exit_code == 2


def test_another_file_of_the_same_name_takes_nothing_over(launched: Invoke, folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "small.yaml").write_text(SWEEP.replace("[500, 2000]", "[500, 4000]"))
    (folder / "new.yaml").write_text(SWEEP.replace("small", "new"))
    before = read(launched("sweep", "list", "--json"))
    for words in (["new.yaml", "other/small.yaml"], ["other/small.yaml", "--rerun"]):
        refused = launched("sweep", "launch", *words)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.splitlines()[-1] == (
            "nftlab: other/small.yaml no longer asks for 2 jobs of sweep small; put back what it asked for, give it another `name:`, "
            "or add --yes: they stay, but nothing asks for them"
        )
        assert read(launched("sweep", "list", "--json")) == before, "none of the files was launched"
    forced = launched("sweep", "launch", "new.yaml", "other/small.yaml", "--yes")
    assert forced.stdout == f"new: {JOBS} jobs added, 0 known\nsmall: 2 jobs added, 4 known\n"
    assert "small: 2 jobs in the table are no longer asked for; they stay" in forced.stderr
    assert launched("sweep", "launch", "small.yaml").exit_code == 2, "the other one's are dropped now"


def test_dry_run_says_what_a_launch_would_drop(launched: Invoke, folder: Path) -> None:
    (folder / "more.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 3"))
    more = launched("sweep", "launch", "more.yaml", "--dry-run")
    assert (more.exit_code, "no longer asked for" in more.stderr) == (0, False)
    assert launched("sweep", "launch", "more.yaml").stdout == f"small: 3 jobs added, {JOBS} known\n"
    fewer = launched("sweep", "launch", "small.yaml", "--dry-run")
    assert fewer.exit_code == 0
    assert "small: 3 jobs in the table are no longer asked for: launch needs --yes or another `name:`" in fewer.stderr
    assert read(launched("sweep", "launch", "small.yaml", "--dry-run", "--json"))["dropped"] == 3


def test_all_problems_of_all_files_are_told(invoke: Invoke, folder: Path) -> None:
    (folder / "bad.yaml").write_text(SWEEP.replace("fc-a", "fc-z").replace("epochs", "epoch"))
    (folder / "twin.yaml").write_text(SWEEP)
    result = invoke("sweep", "launch", "bad.yaml", "small.yaml", "twin.yaml")
    assert result.exit_code == 78
    lines = result.stderr.splitlines()
    assert all(line.startswith("nftlab: ") for line in lines)
    for told in ("bad.yaml:7", "fc-z", "bad.yaml:9", "epoch", "twin.yaml"):
        assert any(told in line for line in lines), told
    assert not (folder / "db").exists()


def test_a_file_named_twice_is_launched_once(invoke: Invoke) -> None:
    assert read(invoke("sweep", "launch", "small.yaml", "./small.yaml", "--json")) == {
        "sweep": "small",
        "jobs_added": JOBS,
        "jobs_known": 0,
    }


def test_a_missing_file_names_the_nearest(invoke: Invoke) -> None:
    result = invoke("sweep", "launch", "nft/qick")
    assert result.exit_code == 66
    assert "did you mean 'nft/quick'" in result.stderr


def test_rerun_forgets_and_queues_again(launched: Invoke, queue: Queue) -> None:
    finish_all(queue)
    assert queue.counts()["done"] == JOBS
    result = launched("sweep", "launch", "small.yaml", "--rerun")
    assert f"{JOBS} to run again" in result.stdout
    assert queue.counts()["queued"] == JOBS


def test_rerun_of_many_needs_a_yes(invoke: Invoke, folder: Path) -> None:
    (folder / "small.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 4"))
    assert invoke("sweep", "launch", "small.yaml").exit_code == 0
    assert invoke("job", "cancel", "--sweep", "small", "--yes").exit_code == 0
    result = invoke("sweep", "launch", "small.yaml", "--rerun")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "12 to run again" in invoke("sweep", "launch", "small.yaml", "--rerun", "--yes").stdout


def test_verify_exits_1_until_everything_is_recorded(launched: Invoke, queue: Queue) -> None:
    claim(queue)
    before = launched("sweep", "verify", "small")
    assert before.exit_code == 1
    assert before.stdout == "small: 0 of 6 recorded; 5 queued, 1 running\n"
    queue.cancel(range(100))
    queue.retry(range(100))
    finish_all(queue)
    after = launched("sweep", "verify", "small")
    assert after.exit_code == 0
    assert after.stdout == "small: complete, 6 runs recorded exactly once\n"
    assert launched("sweep", "verify", "small.yaml").exit_code == 0


def test_verify_of_a_file_looks_at_what_it_asks_for_by_now(launched: Invoke, folder: Path, queue: Queue) -> None:
    finish_all(queue)
    (folder / "small.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 3"))
    found = launched("sweep", "verify", "small.yaml", "--db", "db/nftlab.sqlite")
    assert (found.exit_code, found.stdout) == (1, "small: complete, 6 runs recorded exactly once; 3 not launched\n")
    assert "asks for 3 runs that were never launched; nftlab sweep extend small.yaml --db db/nftlab.sqlite" in found.stderr
    assert launched("sweep", "verify", "small").exit_code == 0
    assert read(launched("sweep", "verify", "small.yaml", "--json"))["not_launched"] == 3
    launched("sweep", "extend", "small.yaml")
    assert launched("sweep", "verify", "small.yaml").stdout == "small: 6 of 9 recorded; 3 queued\n"


def test_the_next_command_names_the_table_that_was_given(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("sweep", "launch", "small.yaml", "--db", "my lab.sqlite").stderr.endswith(
        "next: nftlab worker --drain --db 'my lab.sqlite'\n"
    )
    assert invoke("sweep", "launch", "small.yaml").stderr.endswith("next: nftlab worker --drain\n")
    monkeypatch.setenv("NFTLAB_DB", "other.sqlite")
    assert invoke("sweep", "launch", "small.yaml").stderr.endswith("next: nftlab worker --drain\n")


def test_verify_as_json(launched: Invoke) -> None:
    found = launched("sweep", "verify", "small", "--json")
    assert found.exit_code == 1
    asked = {"expected": 6, "done": 0, "pruned": 0, "queued": 6, "running": 0, "failed": 0, "cancelled": 0, "missing": 0, "duplicates": 0}
    assert read(found).items() >= asked.items()


@pytest.mark.parametrize("name", ["nosuch", "small"])
def test_verify_of_what_was_never_launched(name: str, invoke: Invoke, folder: Path) -> None:
    if name == "nosuch":
        invoke("sweep", "launch", "small.yaml")
    assert invoke("sweep", "verify", name).exit_code == 66


def test_list(invoke: Invoke, folder: Path) -> None:
    assert read(invoke("sweep", "list", "--json")) == []
    assert not (folder / "db").exists()
    invoke("sweep", "launch", "small.yaml")
    assert read(invoke("sweep", "list", "--json"))[0]["jobs"]["queued"] == JOBS
    assert invoke("sweep", "list").stdout.splitlines()[1].startswith(f"small\t{JOBS}\t{JOBS}\t0\t0")
