"""Checking, backing up and pruning from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.store import EpochRow, Queue, open_db
from tests.cli.helpers import JOBS, Invoke, claim, finish, finish_all, read
from tests.store.jobtable import sql


def test_check_names_what_is_wrong(launched: Invoke, queue: Queue) -> None:
    finish_all(queue)
    assert launched("db", "check").stdout.endswith("ready, schema 0003\n")
    engine = open_db(None, create=False)
    assert engine is not None
    sql(engine, "UPDATE jobs SET state = 'queued' WHERE id = 1")
    found = launched("db", "check")
    assert found.exit_code == 1
    assert "1 jobs whose last transition is to another state: " in found.stdout
    told = read(launched("db", "check", "--json"))
    assert {finding["what"]: finding["count"] for finding in told["findings"]}["jobs recorded other than exactly once"] == 1


def test_backup_beside_the_table_or_where_it_is_wanted(launched: Invoke, folder: Path) -> None:
    beside = launched("db", "backup")
    assert Path(beside.stdout.strip()).parent == folder / "db"
    assert read(launched("status", "--json", "--db", beside.stdout.strip()))["jobs"]["queued"] == JOBS
    assert launched("db", "backup", "copies/one.sqlite").exit_code == 0
    assert [path.name for path in (folder / "copies").iterdir()] == ["one.sqlite"]
    again = launched("db", "backup", "copies/one.sqlite")
    assert again.exit_code == 2
    assert "there already" in again.stderr


def test_copy_to_another_database(launched: Invoke, queue: Queue, folder: Path) -> None:
    finish(queue, claim(queue, 2))
    [running] = claim(queue)
    refused = launched("db", "copy", "db/nftlab.sqlite", "other.sqlite")
    assert (refused.exit_code, refused.stdout, "nftlab sweep pause" in refused.stderr) == (2, "", True)
    queue.release([running], cause="preempted")
    copied = launched("db", "copy", "db/nftlab.sqlite", "other.sqlite")
    assert (copied.exit_code, copied.stdout) == (0, "other.sqlite: 1 sweeps, 6 jobs, 2 epochs copied\n")
    assert "4 jobs are not finished" in copied.stderr
    assert "nftlab status --db other.sqlite" in copied.stderr
    for words in (["status", "--json"], ["job", "list", "--json"], ["sweep", "list", "--json"]):
        assert read(launched(*words)) == read(launched(*words, "--db", "other.sqlite"))
    again = launched("db", "copy", "db/nftlab.sqlite", "other.sqlite")
    assert (again.exit_code, "other.sqlite holds sweeps" in again.stderr) == (2, True)
    told = read(launched("db", "copy", "other.sqlite", "third.sqlite", "--json"))
    assert (told["to"], told["rows"]["jobs"], told["rows"]["epoch_rows"]) == ("third.sqlite", JOBS, 2)


def test_copy_of_nothing(invoke: Invoke, folder: Path) -> None:
    assert invoke("db", "copy", "nowhere.sqlite", "other.sqlite").exit_code == 66
    assert not (folder / "other.sqlite").exists()


def test_without_a_database_there_is_nothing_to_keep(invoke: Invoke, folder: Path) -> None:
    for words in (["backup"], ["prune", "--yes"]):
        assert invoke("db", *words).exit_code == 66
    assert not (folder / "db").exists()


@pytest.fixture
def shelf(launched: Invoke, queue: Queue, folder: Path) -> Path:
    """Checkpoints of a finished, a waiting and a running job, and of one that nobody knows."""
    base = folder / "runs" / "checkpoints"
    done, waiting, running = claim(queue) + claim(queue) + claim(queue)
    for job in (done, waiting, running):
        for number in (1, 2, 3):
            path = base / job.job_key / "1" / f"epoch-00000{number}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"0" * 1000)
            elsewhere = f"/scratch/of/another/host/checkpoints/{job.job_key}/1/{path.name}"
            queue.record_epoch([(job, EpochRow(number, {}, 0.1, True, elsewhere, "sha"))])
    (base / waiting.job_key / "1" / ".epoch-000004.safetensors.77.part").write_bytes(b"0" * 10)
    (base / done.job_key / "best.safetensors").touch()
    (base / done.job_key / "notes.txt").touch()
    finish(queue, [done])
    queue.release([waiting], cause="preempted")
    (base / "stranger" / "1").mkdir(parents=True)
    (base / "stranger" / "1" / "epoch-000001.safetensors").touch()
    (folder / "outside" / "1").mkdir(parents=True)
    (folder / "outside" / "1" / "epoch-000001.safetensors").touch()
    (base / done.job_key / "2").symlink_to(folder / "outside" / "1")
    (base / "forgotten").mkdir()
    (base / "forgotten" / "best.safetensors").touch()
    for name, job in (("done", done), ("waiting", waiting), ("running", running)):
        (folder / name).symlink_to(base / job.job_key)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_prune_keeps_what_jobs_need(launched: Invoke, shelf: Path) -> None:
    before = files(shelf / "runs")
    dry = launched("db", "prune")
    assert dry.stdout == "5 checkpoints of 0.0 MB may go\n"
    assert "nftlab db prune --yes" in dry.stderr
    for folder in ("stranger", "forgotten"):
        assert f"{folder}: no job of this table" in dry.stderr
    assert files(shelf / "runs") == before
    told = read(launched("db", "prune", "--yes", "--json"))
    assert (told["files"], told["bytes"], told["bytes_freed"], len(told["unknown"])) == (5, 4010, 4010, 2)
    epochs = [f"1/epoch-00000{number}.safetensors" for number in (1, 2, 3)]
    assert files((shelf / "done").resolve()) == ["best.safetensors", "notes.txt"]
    assert files((shelf / "waiting").resolve()) == epochs[1:]
    assert files((shelf / "running").resolve()) == epochs
    assert files(shelf / "outside") == epochs[:1]
    assert (shelf / "runs" / "checkpoints" / "stranger" / "1" / "epoch-000001.safetensors").is_file()
    assert launched("db", "prune").stdout == "0 checkpoints of 0.0 MB may go\n"
