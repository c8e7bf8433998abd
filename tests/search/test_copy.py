"""The job table, a search in it, from a SQLite file to Postgres and back."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine, inspect, select
from typer.testing import CliRunner

from nftlab.cli import app
from nftlab.errors import DatabaseError, UsageError
from nftlab.search import Proposer
from nftlab.search.study import open_storage
from nftlab.speeds import Speed
from nftlab.store import Queue, check, complete, copy, delete, jobs, keep, known, launch, open_db, remember, verify
from nftlab.store.studies import study_tables
from nftlab.store.tables import metadata
from tests.search.lab import ME, search, study, train, work_off
from tests.store.conftest import fresh_postgres as fresh_postgres
from tests.store.jobtable import ANN, CODE, DONE, epoch, expire, make_sweep, sql

Open = Callable[[str], Engine]
REPORT = """
title: A laptop's results
rows: {algorithm: {CT: ct}}
columns: {batch_size: [8]}
sweeps: [grid]
metric: test_error
choose: val_error
seeds: 2
"""


@pytest.fixture
def laptop(sqlite: Engine) -> Engine:
    """Jobs that are done, failed, half trained and waiting, and a search in the middle of its work."""
    queue, proposer = Queue(sqlite, backoff=0.0), Proposer(sqlite, ME, print)
    launch(sqlite, make_sweep("grid", trials=2, seeds=2), code=CODE)
    done, failed, half = queue.claim(ANN, 3, CODE)
    queue.record_epoch([(claim, epoch(1, checkpoint=f"/laptop/{claim.job_key}")) for claim in (done, half)])
    queue.finish([(done, DONE)])
    queue.fail(failed, "Traceback\nÜbel: no", cause="config")
    queue.release([half], cause="preempted")
    launch(sqlite, search(6, seeds=2), code=CODE)
    proposer.propose(4)
    claims = queue.claim(ME, 2, CODE) + queue.claim(ME, 2, CODE)
    for claim in claims[2:]:
        train(queue, claim, 5.0 + claim.seed)
    queue.release(claims[:2], cause="preempted")
    proposer.propose(1)
    remember(sqlite, "a GPU", "kind", [Speed(4, "mapped", 1.0, 0.5, 2.0, 1, 0)])
    keep(sqlite, "diff", "+ a line")
    return sqlite


@pytest.fixture
def table(tmp_path: Path, fresh_postgres: str) -> Open:
    """An empty table of a kind."""

    def make(kind: str) -> Engine:
        found = open_db(fresh_postgres if kind == "postgres" else str(tmp_path / f"{kind}.sqlite"), create=True)
        assert found is not None
        return found

    return make


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, ours and Optuna's, in the order of their keys."""
    with engine.connect() as connection:
        tables = [*metadata.sorted_tables, *study_tables(connection)]
        return {t.name: [dict(row) for row in connection.execute(select(t).order_by(*t.primary_key)).mappings()] for t in tables}


def told(engine: Engine, *words: str) -> str:
    url = engine.url.render_as_string(hide_password=False)
    return CliRunner().invoke(app, [*words, "--db", url], prog_name="nftlab").stdout


def test_there_and_back_every_row_is_the_same(laptop: Engine, table: Open, tmp_path: Path) -> None:
    (tmp_path / "report.yaml").write_text(REPORT)
    server, back = table("postgres"), table("back")
    heard: dict[str, tuple[int, int]] = {}
    copied = copy(laptop, server, make_studies=open_storage, progress=lambda what, done, total: heard.update({what: (done, total)}))
    copy(server, back, make_studies=open_storage)
    before = rows(laptop)
    assert rows(server) == before
    assert rows(back) == before
    assert copied == {name: len(found) for name, found in before.items()}
    assert heard == {name: (n, n) for name, n in copied.items() if n}
    assert min(copied[name] for name in ("epoch_rows", "attempts", "proposals", "trial_params", "trial_intermediate_values")) > 0
    for words in (["sweep", "verify", "s", "--json"], ["status", "--json"], ["report", str(tmp_path / "report.yaml"), "--format", "json"]):
        assert told(laptop, *words) == told(server, *words) == told(back, *words) != ""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_copy_goes_on_where_the_original_stood(kind: str, laptop: Engine, table: Open) -> None:
    target = table(kind)
    copy(laptop, target, make_studies=open_storage)
    queue = Queue(target)
    launch(target, make_sweep("more", trials=1), code=CODE)
    queue.retry([job.job_id for job in jobs(target) if job.state == "failed"])
    work_off(queue, Proposer(target, ME, print), end=lambda queue, claim: train(queue, claim, 5.0))
    assert all(complete(verify(target, name)) for name in ("grid", "s", "more"))
    assert check(target) == []
    assert len(study(target).trials) == 6
    assert len(jobs(laptop)) < len(jobs(target)), "the original is as it was"


def test_what_the_target_knows_of_speeds_stays(laptop: Engine, table: Open) -> None:
    target = table("postgres")
    launch(target, make_sweep("mistake"), code=CODE)
    delete(target, "mistake")
    remember(target, "a GPU", "kind", [Speed(4, "mapped", 9.0, 9.0, 9.0, 1, 0)])
    copy(laptop, target, make_studies=open_storage)
    assert [speed.seconds for speed in known(target, "a GPU", "kind")] == [9.0]


def test_a_source_without_searches_needs_no_optuna(sqlite: Engine, table: Open) -> None:
    launch(sqlite, make_sweep(), code=CODE)
    target = table("postgres")
    copy(sqlite, target, make_studies=lambda engine: pytest.fail("there are no studies"))
    assert not inspect(target).has_table("studies")
    assert rows(target) == rows(sqlite)


def test_only_an_empty_target_will_do(laptop: Engine, table: Open) -> None:
    target = table("postgres")
    launch(target, make_sweep("there"), code=CODE)
    before = rows(target)
    with pytest.raises(UsageError, match=r"holds sweeps, 'there' for one.*createdb"):
        copy(laptop, target, make_studies=lambda engine: pytest.fail("nothing is made in it"))
    assert rows(target) == before
    with pytest.raises(UsageError, match="holds sweeps"):
        copy(laptop, laptop, make_studies=open_storage)
    delete(target, "there")
    copy(laptop, target, make_studies=open_storage)
    for name in ("grid", "s"):
        delete(target, name)
    optuna.create_study(study_name="mine", storage=open_storage(target))
    with pytest.raises(UsageError, match="holds studies"):
        copy(laptop, target, make_studies=open_storage)


def test_nothing_is_copied_while_a_job_runs(laptop: Engine, table: Open) -> None:
    target = table("postgres")
    Queue(laptop).claim(ANN, 1, CODE)
    with pytest.raises(UsageError, match=r"1 jobs of .* are running; .*nftlab sweep pause"):
        copy(laptop, target, make_studies=open_storage)
    assert sql(target, "SELECT count(*) AS n FROM sweeps")[0].n == 0
    expire(laptop)  # its worker was killed
    copy(laptop, target, make_studies=open_storage)
    Queue(target).reclaim(ANN)
    assert Queue(target).counts()["running"] == 0


def test_studies_of_another_optuna(laptop: Engine, table: Open) -> None:
    sql(laptop, "UPDATE alembic_version SET version_num = 'v1.2.0.a'")
    target = table("postgres")
    with pytest.raises(DatabaseError, match=r"another Optuna .*v1.2.0.a.*optuna storage upgrade"):
        copy(laptop, target, make_studies=open_storage)
    assert sql(target, "SELECT count(*) AS n FROM sweeps")[0].n == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_copy_that_is_killed_leaves_nothing_and_can_be_made_again(kind: str, laptop: Engine, table: Open) -> None:
    target = table(kind)
    open_storage(target)
    laptop.dispose()
    target.dispose()

    def die(what: str, done: int, total: int) -> None:
        if what == "trials":
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=lambda: copy(laptop, target, make_studies=open_storage, progress=die))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not any(rows(target).values())
    copy(laptop, target, make_studies=open_storage)
    assert rows(target) == rows(laptop)
