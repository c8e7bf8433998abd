"""Launching and verifying sweeps."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.errors import NotFoundError
from nftlab.spec import load_text
from nftlab.store import SCHEMA, Queue, complete, jobs, launch, launched, open_db, set_priority, status, story, verify
from tests.store.jobtable import ANN, CODE, DONE, at_once, make_sweep, sql, sweep_text


def test_launching_twice_adds_nothing_and_an_extension_only_the_new(engine: Engine) -> None:
    first = launch(engine, make_sweep(trials=2), code=CODE)
    assert (first.sweep, first.jobs_added, first.jobs_known) == ("s", 6, 0)
    again = launch(engine, make_sweep(trials=2), code=CODE)
    assert (again.jobs_added, again.jobs_known, again.dropped, again.other_code) == (0, 6, 0, 0)
    more = launch(engine, make_sweep(trials=3, seeds=4), code=CODE)
    assert (more.jobs_added, more.jobs_known) == (6, 6)
    assert verify(engine, "s")["missing"] == 0, "the extended file is the one that is stored"
    assert Counter(job.seed for job in jobs(engine)) == dict.fromkeys(range(4), 3)
    fewer = launch(engine, make_sweep(trials=1, seeds=4), code=CODE)
    assert (fewer.jobs_added, fewer.jobs_known, fewer.dropped) == (0, 4, 8)
    assert (verify(engine, "s")["expected"], verify(engine, "s")["extra"], len(jobs(engine))) == (4, 8, 12)


def test_many_launches_at_once_add_each_job_once(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    added = at_once(8, _launch, url)
    assert sorted(added) == [0] * 7 + [60]
    assert len(jobs(engine)) == 60
    assert sql(engine, "SELECT count(*) AS n FROM transitions")[0].n == 60


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_first_launches_at_once_make_one_schema_and_one_grid(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("fresh_postgres") if kind == "postgres" else f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite'}"
    assert sorted(at_once(8, _launch, url)) == [0] * 7 + [60]
    engine = open_db(url, create=False)
    assert engine is not None
    assert [row.version_num for row in sql(engine, "SELECT version_num FROM nftlab_version")] == [SCHEMA]
    found = verify(engine, "s")
    assert (found["expected"], found["queued"], found["missing"], found["duplicates"], found["extra"]) == (60, 60, 0, 0, 0)
    engine.dispose()


def _launch(_: int, url: str) -> int:
    engine = open_db(url, create=True)
    assert engine is not None
    return launch(engine, make_sweep(trials=20), code=CODE).jobs_added


def test_sweeps_are_apart_though_their_trials_are_equal(engine: Engine) -> None:
    launch(engine, make_sweep("one", trials=1), code=CODE)
    assert launch(engine, make_sweep("two", trials=1), code=CODE).jobs_added == 3
    assert len({job.job_key for job in jobs(engine)}) == 6
    assert len({job.trial_key for job in jobs(engine)}) == 1


def test_rerun_starts_finished_jobs_again_and_other_code_is_counted(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=1), code=CODE)
    queue.finish([(claim, DONE) for claim in queue.claim(ANN, 2, CODE)])
    new = {"git_sha": "def", "dirty": None}
    assert launch(engine, make_sweep(trials=1), code=new).other_code == 2
    assert launch(engine, make_sweep(trials=1), code={**CODE, "dirty": "changed"}).other_code == 2
    result = launch(engine, make_sweep(trials=1), code=new, rerun=True)
    assert (result.jobs_added, result.jobs_known, result.jobs_rerun) == (0, 3, 2)
    assert queue.counts()["queued"] == 3
    assert [move["why"] for move in story(engine, jobs(engine)[0].job_key)["transitions"]] == ["launched", "claimed", "finished", "rerun"]


def test_verify_counts_every_expected_job_once(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=4, seeds=2), code=CODE)
    claims = queue.claim(ANN, 5, CODE)
    queue.finish([(claim, replace(DONE, diverged=True)) for claim in claims[:2]])
    queue.fail(claims[2], "no", cause="config")
    queue.cancel([claims[3].job_id])
    zero = {"pruned": 0, "quarantined": 0, "missing": 0, "duplicates": 0, "extra": 0}
    assert verify(engine, "s") == {"expected": 8, "done": 2, "failed": 1, "cancelled": 1, "running": 1, "queued": 3, **zero}
    assert not complete(verify(engine, "s"))
    queue.retry([claims[2].job_id, claims[3].job_id])
    queue.finish([(claims[4], DONE)])
    queue.finish([(claim, DONE) for claim in queue.claim(ANN, 9, CODE)])
    assert complete(verify(engine, "s"))
    sql(engine, "DELETE FROM transitions WHERE job_id = 1 AND target = 'done'")
    assert verify(engine, "s")["missing"] == 1, "done without a recorded finish proves nothing"
    sql(
        engine,
        "INSERT INTO transitions (job_id, source, target, who, host, why, at, token) SELECT 1, 'running', 'done', 'x', 'y', 'z', 0, 1",
    )
    assert complete(verify(engine, "s"))
    sql(
        engine,
        "INSERT INTO transitions (job_id, source, target, who, host, why, at, token) SELECT 1, 'running', 'done', 'x', 'y', 'z', 0, 1",
    )
    assert (verify(engine, "s")["duplicates"], complete(verify(engine, "s"))) == (1, False)


def test_verify_names_the_sweeps_there_are(engine: Engine) -> None:
    launch(engine, make_sweep("there"), code=CODE)
    with pytest.raises(NotFoundError, match="launched are: there"):
        verify(engine, "not-there")


def test_what_a_launch_stores(engine: Engine) -> None:
    launch(engine, make_sweep(trials=1, seeds=2, settings="  priority: 3\n  retries: 7\n"), code=CODE)
    [sweep] = launched(engine)
    assert (sweep["name"], sweep["metric"], sweep["goal"], sweep["priority"], sweep["code"]) == ("s", "val/error", "minimize", 3, CODE)
    assert sweep["source"] == sweep_text(trials=1, seeds=2, settings="  priority: 3\n  retries: 7\n")
    assert sweep["jobs"]["queued"] == 2
    written: Any = sql(engine, "SELECT config, max_retries, priority FROM jobs")[0]
    assert written.config == json.dumps(json.loads(written.config), sort_keys=True, separators=(",", ":"))
    assert (written.max_retries, written.priority) == (7, 3)
    assert status(engine)["jobs"]["queued"] == 2


def test_a_sweep_keeps_the_priority_that_it_was_given_and_what_is_added_has_it(engine: Engine) -> None:
    launch(engine, make_sweep(seeds=1), code=CODE)
    set_priority(engine, "s", 5)
    launch(engine, make_sweep(seeds=2), code=CODE)
    assert launched(engine)[0]["priority"] == 5
    assert {row.priority for row in sql(engine, "SELECT priority FROM jobs")} == {5}
    assert len(jobs(engine)) > 1


def test_a_launch_again_stores_the_new_metric_goal_and_retries(engine: Engine) -> None:
    launch(engine, make_sweep(trials=1, seeds=1), code=CODE)
    text = sweep_text(trials=1, seeds=2, settings="  retries: 7\n")
    text = text.replace("{name: val/error, goal: minimize}", "{name: val/loss, goal: maximize}")
    launch(engine, load_text(text), code=CODE)
    [sweep] = launched(engine)
    assert (sweep["metric"], sweep["goal"], sweep["retries"]) == ("val/loss", "maximize", 7)


def test_pruned_jobs_of_other_code_are_counted_and_a_rerun_takes_only_what_is_asked_for(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=2, seeds=1), code=CODE)
    pruned, finished = queue.claim(ANN, 2, CODE)
    queue.prune([(pruned, "behind")])
    queue.finish([(finished, DONE)])
    result = launch(engine, make_sweep(trials=1, seeds=1), code={"git_sha": "def", "dirty": None}, rerun=True)
    assert (result.other_code, result.jobs_rerun, result.dropped) == (2, 1, 1)
    assert [job.state for job in jobs(engine)] == ["queued", "done"]
