"""The job table is checked and backed up."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, make_url

from nftlab.errors import DiskError, UsageError
from nftlab.store import Queue, backup, check, dump_command, jobs, launch, open_db, pause
from tests.store.jobtable import ANN, CODE, DONE, epoch, expire, make_sweep, sql


@pytest.fixture
def worked(engine: Engine, queue: Queue) -> Engine:
    """Jobs in every state there is, by way of everything that can happen to them."""
    launch(engine, make_sweep(), code=CODE)
    first, second, third, fourth, fifth, _ = queue.claim(ANN, 6, CODE)
    queue.record_epoch([(first, epoch(1)), (second, epoch(1))])
    queue.finish([(first, DONE), (second, DONE)])
    queue.rerun([second.job_id])
    queue.fail(third, "no", cause="config")
    queue.release([fourth], cause="preempted")
    queue.cancel([fifth.job_id])
    expire(engine)
    queue.reclaim(ANN)
    queue.claim(ANN, 2, CODE)
    launch(engine, make_sweep("other"), code=CODE)
    pause(engine, "other")
    return engine


def test_whatever_happens_to_jobs_keeps_the_guarantees(worked: Engine) -> None:
    assert check(worked) == []


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ("UPDATE jobs SET lease_until = NULL WHERE state = 'running'", "running without a lease"),
        ("UPDATE jobs SET lease_until = 5 WHERE state = 'done'", "not running, yet with a lease"),
        ("UPDATE attempts SET ended_at = 5 WHERE ended_at IS NULL", "running without an open attempt of their token"),
        ("UPDATE attempts SET ended_at = NULL", "with an open attempt that does not hold them"),
        ("DELETE FROM transitions WHERE target = 'done'", "recorded other than exactly once"),
        ("UPDATE jobs SET state = 'failed' WHERE state = 'queued'", "whose last transition is to another state"),
        ("UPDATE epoch_rows SET token = 9", "with epochs written under a claim they never had"),
        ("UPDATE sweeps SET state = 'active'", "paused while their sweep is not, or not while it is"),
    ],
)
def test_each_harm_is_found(harm: str, what: str, worked: Engine) -> None:
    sql(worked, harm)
    found = {finding.what: finding for finding in check(worked)}
    assert found[f"jobs {what}"].count >= 1
    assert set(found[f"jobs {what}"].first) <= {job.job_key for job in jobs(worked)}


def test_rows_that_refer_to_nothing_are_found(sqlite: Engine) -> None:
    connection = sqlite3.connect(str(sqlite.url.database))  # of a program that does not enforce it
    connection.execute("INSERT INTO proposals VALUES ('nowhere', 1, 'k', NULL, 0)")
    connection.commit()
    connection.close()
    assert [(finding.what, finding.first) for finding in check(sqlite)] == [
        ("rows that refer to a row that is not there", ["proposals row 1"])
    ]


def test_a_backup_while_others_write_is_whole_and_of_one_moment(sqlite: Engine, tmp_path: Path) -> None:
    launch(sqlite, make_sweep(trials=200), code=CODE)
    sql(sqlite, "UPDATE jobs SET error = :text", text="x" * 20_000)  # so many pages that the copy is made in several steps
    queue, stop, steps = Queue(sqlite), Event(), []

    def write() -> None:
        while not stop.is_set():
            queue.finish([(claim, DONE) for claim in queue.claim(ANN, 1, CODE)])

    def note(done: int, total: int) -> None:
        before = queue.counts()["done"]
        while queue.counts()["done"] == before:  # another process writes between any two steps
            pass
        steps.append(done)

    writer = Thread(target=write)
    writer.start()
    try:
        size = backup(sqlite, tmp_path / "copies" / "one.sqlite", note)
    finally:
        stop.set()
        writer.join()
    assert len(steps) > 1
    assert steps == sorted(steps), "it was never started over"
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["one.sqlite"]
    assert size == (tmp_path / "copies" / "one.sqlite").stat().st_size
    copy = open_db(str(tmp_path / "copies" / "one.sqlite"), create=False)
    assert copy is not None
    assert (check(copy), len(jobs(copy))) == ([], 600)
    with pytest.raises(UsageError, match="there already"):
        backup(sqlite, tmp_path / "copies" / "one.sqlite")


def test_a_backup_that_cannot_be_written(sqlite: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="on another disk"):
        backup(sqlite, tmp_path / "file" / "one.sqlite")


def test_the_command_for_postgres_has_no_password(postgres: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make_url("postgresql+psycopg://ann:secret@db.lab/nftlab?password=secret&sslmode=require&sslpassword=secret&Pwd=secret")
    monkeypatch.setattr(postgres, "url", url)
    command = dump_command(postgres, Path("a copy.dump"))
    assert command == "pg_dump --format=custom --file='a copy.dump' 'postgresql://ann@db.lab/nftlab?sslmode=require'"
