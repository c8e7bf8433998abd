from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from nftlab.hypers import NETWORKS
from nftlab.store import Queue, keep, open_db
from tests.cli.helpers import JOBS, SWEEP, Invoke, claim, finish, read
from tests.store.jobtable import ANN


def keys(result: object) -> list[str]:
    return [job["job"] for job in read(result)]  # type: ignore[arg-type]


def test_without_a_database_lists_are_empty_and_nothing_is_created(invoke: Invoke, folder: Path) -> None:
    assert read(invoke("job", "list", "--json")) == []
    assert invoke("job", "list").exit_code == 0
    assert invoke("job", "show", "abc").exit_code == 66
    assert invoke("job", "cancel", "--sweep", "small").exit_code == 0
    assert not (folder / "db").exists()


def test_list_has_the_keys_that_scripts_rely_on(launched: Invoke, queue: Queue) -> None:
    finish(queue, claim(queue))
    job = read(launched("job", "list", "--state", "done", "--json"))[0]
    results = ["attempts", "retries", "epoch", "best_epoch", "val_error", "test_error"]
    assert list(job)[:11] == ["job", "sweep", "trial", "state", "config", *results]
    assert (job["sweep"], job["state"], job["epoch"], job["val_error"], job["test_error"]) == ("small", "done", 1, 5.0, 6.0)
    assert job["config"]["seed"] == 0
    assert job["config"]["network"] == "fc-a"
    exported = json.loads(launched("sweep", "export", "small", "--state", "done", "--format", "jsonl").stdout)
    assert job["trial"] == read(launched("job", "show", job["job"], "--json"))["trial"] == exported["trial"]


@pytest.mark.parametrize("verb", [["status"], ["job", "list"], ["job", "retry", "--yes"], ["job", "cancel", "--yes"]])
def test_a_sweep_that_was_never_launched_is_an_error(verb: list[str], launched: Invoke) -> None:
    result = launched(*verb, "--sweep", "smal")
    assert (result.exit_code, result.stdout) == (66, "")
    assert "launched are: small" in result.stderr


@pytest.mark.parametrize(
    ("selectors", "count"),
    [
        (["--sweep", "small"], 6),
        (["--seed", "1"], 3),
        (["--where", "algorithm=nft"], 4),
        (["--where", "algorithm=nft", "--where", "eta_max=2e3", "--seed", "0"], 1),
        (["--where", "label_conditioning=false"], 4),
        (["--where", "test_curve=False"], 6),
        (["--where", "test_curve=TRUE"], 0),
        (["--where", "network=fc-b"], 0),
        (["--where", "epochs=2.0"], 6),
        (["--state", "queued"], 6),
        (["--state", "done"], 0),
    ],
)
def test_selectors(selectors: list[str], count: int, launched: Invoke) -> None:
    assert len(keys(launched("job", "list", *selectors, "--json"))) == count


@pytest.mark.parametrize(
    ("selectors", "told"),
    [
        (["--state", "dnoe"], "did you mean 'done'"),
        (["--where", "netwrok=fc-a"], "did you mean 'network'"),
        (["--where", "network"], "NAME=VALUE"),
        (["--where", "network=FC-A"], f"network: 'FC-A' is not one of {', '.join(NETWORKS)} (did you mean 'fc-a'?)"),
        (["--where", "network=fca"], "did you mean 'fc-a'"),
        (["--where", "algorithm=nftt"], "did you mean 'nft'"),
        (["--where", "test_curve=no"], "test_curve: 'no' is not true or false"),
        (["--where", "lr=abc"], "lr: 'abc' is not a number"),
        (["--where", "lr=nan"], "is not a number"),
        (["--where", "epochs=1.5"], "is not a whole number"),
        (["--where", "momentum=1"], "must be less than 1"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_wrong_selectors_are_usage_errors(selectors: list[str], told: str, launched: Invoke) -> None:
    result = launched("job", "list", *selectors)
    assert result.exit_code == 2
    assert told in result.stderr


def test_wrong_selectors_are_told_without_a_database_too(invoke: Invoke) -> None:
    assert invoke("job", "list", "--where", "network=FC-A").exit_code == 2
    assert invoke("job", "list", "--where", "network=fc-a").exit_code == 0


def test_jobs_of_an_older_nftlab_are_found_by_what_this_one_does_not_know(launched: Invoke) -> None:
    engine = open_db(None, create=False)
    assert engine is not None
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET config = replace(config, 'fc-a', 'fc-old') WHERE seed = 1"))
        connection.execute(text("UPDATE jobs SET config = replace(config, '\"lr\"', '\"lr_old\"') WHERE seed = 0"))
    assert len(keys(launched("job", "list", "--where", "network=fc-old", "--json"))) == 3
    assert len(keys(launched("job", "list", "--where", "lr_old=1e-4", "--json"))) == 3
    assert launched("job", "list", "--where", "lr_old=1e-3").exit_code == 2


def test_a_table_in_a_pipe_has_one_line_per_job(launched: Invoke) -> None:
    lines = launched("job", "list").stdout.splitlines()
    assert lines[0].split("\t")[:3] == ["job", "state", "algorithm"]
    assert len(lines) == 1 + JOBS


def test_a_list_shows_the_parameters_in_which_its_jobs_differ(launched: Invoke, folder: Path) -> None:
    columns, *lines = [line.split("\t") for line in launched("job", "list").stdout.splitlines()]
    assert columns[2:6] == ["algorithm", "network", "dataset", "eta_max"]
    assert [line[5] for line in lines] == ["–", "–", "500.0", "500.0", "2000.0", "2000.0"]
    for alike in (["--where", "eta_max=500"], ["--state", "done"]):
        assert "eta_max" not in launched("job", "list", *alike).stdout
    assert launched("job", "list").stderr == ""


def test_a_list_whose_jobs_differ_in_much_says_where_all_of_it_is(invoke: Invoke, folder: Path) -> None:
    names = ["lr", "weight_decay", "label_noise", "data_share", "lr_simp", "wd_simp", "ratio_simp", "eta_max"]
    axes = "".join(f"  {name}: {{values: [0.25, 0.5]}}\n" for name in names)
    file = SWEEP.replace("[ct, nft]", "[nft]").replace("  eta_max: {values: [500, 2000]}\n", axes)
    (folder / "wide.yaml").write_text(file.replace("seeds: 2", f"seeds: 2, zip: [[{', '.join(names)}]]"))
    assert invoke("sweep", "launch", "wide.yaml").exit_code == 0
    result = invoke("job", "list")
    columns = result.stdout.splitlines()[0].split("\t")
    shown = columns[columns.index("dataset") + 1 : columns.index("seed")]
    assert len(shown) == 6
    assert f"they differ in 2 more: {', '.join(sorted(set(names) - set(shown)))}; --json has all" in result.stderr


def test_show_tells_the_story(launched: Invoke, queue: Queue) -> None:
    job = claim(queue)[0]
    queue.fail(job, "Traceback\n  line\nRuntimeError: \x1b[31mno luck", cause="crash")
    text = launched("job", "show", job.job_key).stdout
    for told in (
        job.job_key,
        "sweep small",
        "network: fc-a",
        "test_curve: false",
        "crash",
        "no luck",
        "new → queued",
        "queued → running",
        "claimed, by tester on here, token 1",
        "code aaaaaaaaaaaa",
        "way mapped-single, pack_size",
    ):
        assert told in text
    assert "\x1b" not in text


def test_show_tells_the_curve(launched: Invoke, queue: Queue) -> None:
    job = claim(queue)[0]
    finish(queue, [job])
    text = launched("job", "show", job.job_key).stdout
    assert "1: " in text
    assert "best epoch 1: validation error 5.00 %, test error 6.00 %" in text
    story = read(launched("job", "show", job.job_key, "--json"))
    assert story["curve"][0]["val/error"] == 5.0
    assert [move["target"] for move in story["transitions"]] == ["queued", "running", "done"]
    assert story["attempts"][0]["circumstances"]["device"] == "cpu"


def test_show_tells_what_each_attempt_was_trained_on(launched: Invoke, queue: Queue) -> None:
    (job,) = queue.claim(ANN, 1, {"data": "made, seed 7", "data_sha": "1b2c" * 16})
    assert '     data "made, seed 7" (sha256 1b2c1b2c1b2c)\n' in launched("job", "show", job.job_key).stdout
    (before,) = queue.claim(ANN, 1, {})
    assert "     data " not in launched("job", "show", before.job_key).stdout


def test_show_prints_the_code_and_packages_of_the_last_attempt(launched: Invoke, queue: Queue) -> None:
    engine = open_db(None, create=False)
    assert engine is not None
    named = {"diff": keep(engine, "diff", "-a = 1\n+a = 2\f\n"), "packages": keep(engine, "packages", "torch==2.11\n")}
    around = named, named | {"diff": None, "git_sha": "a" * 40}, named | {"diff": None, "git_sha": None, "dirty": "b" * 16}, {}
    changed, committed, wheel, before = [job for each in around for job in queue.claim(ANN, 1, each)]
    assert launched("job", "show", changed.job_key, "--diff", "--packages").stdout == "-a = 1\n+a = 2\f\ntorch==2.11\n"
    assert read(launched("job", "show", changed.job_key, "--packages", "--json"))["packages"] == "torch==2.11\n"
    for job, told in ((committed, "ran committed code"), (wheel, "has no diff recorded"), (before, "has no diff recorded")):
        shown = launched("job", "show", job.job_key, "--diff")
        assert (shown.exit_code, shown.stdout) == (0, "")
        assert told in shown.stderr


def test_the_beginning_of_a_key_is_enough_when_it_is_unique(launched: Invoke) -> None:
    every = keys(launched("job", "list", "--json"))
    unique = next(length for length in range(1, 17) if sum(key.startswith(every[0][:length]) for key in every) == 1)
    assert read(launched("job", "show", every[0][:unique], "--json"))["job"] == every[0]


@pytest.mark.parametrize("key", ["nosuch", "%", "_", "", "' OR 1=1 --", "\x1b[31m", "é" * 100])
def test_no_other_key_finds_a_job(key: str, launched: Invoke) -> None:
    result = launched("job", "show", key)
    assert result.exit_code == 66
    assert "\x1b" not in result.stderr


def test_a_key_that_several_jobs_begin_with(invoke: Invoke, folder: Path) -> None:
    (folder / "many.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 12"))  # 36 keys: two share a first digit
    invoke("sweep", "launch", "many.yaml")
    first = [key[0] for key in keys(invoke("job", "list", "--json"))]
    shared = next(digit for digit in first if first.count(digit) > 1)
    result = invoke("job", "show", shared)
    assert result.exit_code == 2
    assert f"{first.count(shared)} jobs begin with" in result.stderr


def test_a_finished_job_can_be_run_again(launched: Invoke, queue: Queue) -> None:
    finish(queue, first := claim(queue))
    running, pruned, failed = claim(queue) + claim(queue, 2)  # the last ct, two of nft
    queue.prune([(pruned, "behind")])
    queue.fail(failed, "no luck", cause="config")
    refused = launched("job", "retry", first[0].job_key)
    assert "nothing to retry: 1 jobs found" in refused.stderr
    assert "--rerun runs done and pruned ones again" in refused.stderr
    assert "--rerun" not in launched("job", "retry", running.job_key).stderr
    for job in (first[0], pruned, failed):
        assert "1 jobs queued again from scratch" in launched("job", "retry", job.job_key, "--rerun").stderr
    again = read(launched("job", "show", first[0].job_key, "--json"))
    assert (again["state"], again["epoch"], again["val_error"], again["curve"]) == ("queued", 0, None, [])
    assert [move["why"] for move in again["transitions"]] == ["launched", "claimed", "finished", "rerun"]
    assert queue.counts() == {**dict.fromkeys(queue.counts(), 0), "queued": JOBS - 1, "running": 1}


def test_what_is_running_is_not_run_again(launched: Invoke, queue: Queue) -> None:
    first, second = claim(queue, 2)
    finish(queue, [first])
    result = launched("job", "retry", "--trial", first.trial_key, "--rerun")
    assert result.exit_code == 2
    assert f"1 of 2 jobs are running; nftlab job cancel {second.job_key} first" in result.stderr
    assert (queue.counts()["done"], queue.counts()["running"]) == (1, 1)
    assert "1 jobs queued again from scratch" in launched("job", "retry", "--state", "done", "--rerun").stderr


def test_running_more_than_ten_again_needs_a_yes(invoke: Invoke, folder: Path) -> None:
    (folder / "many.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 4"))
    invoke("sweep", "launch", "many.yaml")
    invoke("job", "cancel", "--sweep", "small", "--yes")
    refused = invoke("job", "retry", "--sweep", "small", "--rerun")
    assert refused.exit_code == 2
    assert "forget and run again 12 jobs needs a yes: add --yes" in refused.stderr
    assert "12 jobs queued again from scratch" in invoke("job", "retry", "--sweep", "small", "--rerun", "--yes").stderr
    assert invoke("job", "retry", "--rerun").exit_code == 2, "it chooses no jobs"


def test_a_trial_may_be_selected_by_how_its_key_begins(launched: Invoke, queue: Queue, folder: Path) -> None:
    (folder / "twin.yaml").write_text(SWEEP.replace("small", "twin"))
    launched("sweep", "launch", "twin.yaml")
    every = read(launched("job", "list", "--json"))
    trial = every[0]["trial"]
    begun = next(trial[:n] for n in range(1, 17) if not any(job["trial"].startswith(trial[:n]) for job in every if job["trial"] != trial))
    mine = [job["job"] for job in every if job["trial"] == trial]
    assert keys(launched("job", "list", "--trial", begun, "--json")) == mine
    assert keys(launched("job", "list", "--trial", trial, "--sweep", "twin", "--seed", "1", "--json")) == [mine[3]]
    exported = launched("sweep", "export", "small", "--trial", begun, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["job"] for line in exported] == mine[:2]
    assert "4 jobs cancelled" in launched("job", "cancel", "--trial", begun).stderr
    assert "2 jobs queued again" in launched("job", "retry", "--trial", begun, "--sweep", "small").stderr


@pytest.mark.parametrize("verb", [["job", "list"], ["job", "retry"], ["job", "cancel"], ["sweep", "export", "small"]])
def test_a_trial_that_is_not_there_is_an_error(verb: list[str], launched: Invoke, queue: Queue) -> None:
    for key in ("nosuch", "", "%"):
        result = launched(*verb, "--trial", key)
        assert (result.exit_code, result.stdout) == (66, "")
        assert f"no trial {key!r}" in result.stderr
    assert queue.counts()["queued"] == JOBS


def test_the_beginning_of_several_trials_keys_chooses_none(invoke: Invoke, folder: Path) -> None:
    (folder / "many.yaml").write_text(SWEEP.replace("[500, 2000]", str([*range(17)])))  # 18 keys: two share a first digit
    invoke("sweep", "launch", "many.yaml")
    first = [key[0] for key in {job["trial"] for job in read(invoke("job", "list", "--json"))}]
    shared = next(digit for digit in first if first.count(digit) > 1)
    result = invoke("job", "cancel", "--trial", shared)
    assert result.exit_code == 2
    assert f"{first.count(shared)} trials begin with {shared!r}" in result.stderr


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_a_trial_given_for_a_job_is_told_apart(verb: str, launched: Invoke) -> None:
    trial = read(launched("job", "list", "--json"))[0]["trial"]
    result = launched("job", verb, trial, "--db", "db/nftlab.sqlite")
    assert result.exit_code == 66
    assert f"{trial} is a trial; its jobs: nftlab job list --trial {trial} --db db/nftlab.sqlite" in result.stderr


def test_cancel_and_retry_by_key_and_by_selector(launched: Invoke, queue: Queue) -> None:
    every = keys(launched("job", "list", "--json"))
    assert "2 jobs cancelled" in launched("job", "cancel", every[0], every[1], every[0]).stderr
    assert queue.counts()["cancelled"] == 2
    assert "2 jobs cancelled" in launched("job", "cancel", "--where", "algorithm=nft", "--seed", "0").stderr
    assert "4 jobs queued again" in launched("job", "retry", "--state", "cancelled").stderr
    assert queue.counts()["queued"] == JOBS


def test_what_cannot_be_changed_is_said(launched: Invoke) -> None:
    result = launched("job", "retry", "--sweep", "small")
    assert result.exit_code == 0
    assert "nothing to retry" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["abc", "--sweep", "small"]])
def test_keys_or_selectors_are_needed_but_not_both(arguments: list[str], launched: Invoke, queue: Queue) -> None:
    assert launched("job", "cancel", *arguments).exit_code == 2
    assert queue.counts()["queued"] == JOBS


def test_more_than_ten_need_a_yes(invoke: Invoke, folder: Path) -> None:
    (folder / "many.yaml").write_text(SWEEP.replace("seeds: 2", "seeds: 4"))
    invoke("sweep", "launch", "many.yaml")
    result = invoke("job", "cancel", "--sweep", "small")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert len(keys(invoke("job", "list", "--state", "queued", "--json"))) == 12
    assert "12 jobs cancelled" in invoke("job", "cancel", "--sweep", "small", "--yes").stderr
