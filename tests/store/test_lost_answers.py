"""The connection breaks after the server committed and before it could say so: whoever asks again does no harm."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from nftlab.errors import OutageError
from nftlab.store import Queue, jobs, launch, open_db, story
from tests.store.conftest import TABLES
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, expire, make_sweep, sql

SOCKET = ".s.PGSQL.5432"
COMMITS = b"COMMIT\0", b"WITH head", b"WITH given"  # the last two: a claim and a finish, each a transaction by itself


class Cable:
    """A Unix socket in a folder, before the server's; with `breaks` it breaks at the next that commits, once."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.breaks = False
        self._cut: socket.socket | None = None  # the client's end that hears no more
        self._server = server
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._server))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while words := source.recv(65536):
                if target is self._cut:  # the server's answer: it has committed
                    target.shutdown(socket.SHUT_RDWR)
                    return
                if self.breaks and any(commit in words for commit in COMMITS):  # of the client; the answer says COMMIT too
                    self.breaks, self._cut = False, source
                target.sendall(words)
            target.shutdown(socket.SHUT_WR)


class Distant:
    """A queue at the far end of a cable, and the same table seen from near by."""

    def __init__(self, cable: Cable, far: Engine, near: Engine) -> None:
        self.cable, self.near = cable, near
        self.queue = Queue(far, backoff=0.0)

    @contextlib.contextmanager
    def no_answer(self) -> Iterator[None]:
        """What is told within is done, but the answer is lost."""
        self.cable.breaks = True
        with pytest.raises(OutageError):
            yield
        assert not self.cable.breaks


@pytest.fixture
def distant(postgres: Engine, postgres_url: str) -> Iterator[Distant]:
    sql(postgres, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    launch(postgres, make_sweep(trials=1, seeds=2), code=CODE)
    server = make_url(postgres_url)
    with tempfile.TemporaryDirectory() as folder:
        cable = Cable(Path(folder), Path(str(server.query["host"])) / SOCKET)
        far = open_db(server.update_query_dict({"host": folder}).render_as_string(hide_password=False), create=False)
        assert far is not None
        yield Distant(cable, far, postgres)
        far.dispose()
        cable.close()


def whys(distant: Distant, key: str) -> list[str]:
    return [step["why"] for step in story(distant.near, key)["transitions"]]


def test_a_finish_is_told_again(distant: Distant) -> None:
    claims = distant.queue.claim(ANN, 2, CODE)
    with distant.no_answer():
        distant.queue.finish([(claim, DONE) for claim in claims])
    assert distant.queue.finish([(claim, DONE) for claim in claims]) == set()
    for row in jobs(distant.near):
        assert (row.state, whys(distant, row.job_key)) == ("done", ["launched", "claimed", "finished"])


def test_a_finish_that_another_worker_recorded_is_not_ours(distant: Distant) -> None:
    [claim] = distant.queue.claim(ANN, 1, CODE)
    expire(distant.near)
    [taken] = distant.queue.claim(BOB, 1, CODE, pack_key=claim.pack_key)
    assert taken.job_id == claim.job_id
    distant.queue.finish([(taken, DONE)])
    assert distant.queue.finish([(claim, DONE)]) == {claim.job_id}


def test_a_claim_whose_answer_was_lost_comes_back_by_its_lease(distant: Distant) -> None:
    with distant.no_answer():
        distant.queue.claim(ANN, 2, CODE)
    assert distant.queue.claim(ANN, 2, CODE) == [], "they run under our name"
    expire(distant.near)
    claims = Queue(distant.near).claim(BOB, 2, CODE)
    assert [(claim.token, claim.epoch) for claim in claims] == [(2, 0), (2, 0)]
    assert distant.queue.finish([(claim, DONE) for claim in claims]) == set()
    assert {(row.state, row.retries, row.attempts) for row in jobs(distant.near)} == {("done", 0, 2)}


def test_epochs_are_told_again_and_both_checkpoints_stay_known(distant: Distant) -> None:
    [claim] = distant.queue.claim(ANN, 1, CODE)
    distant.queue.record_epoch([(claim, epoch(1, checkpoint="one"))])
    with distant.no_answer():
        distant.queue.record_epoch([(claim, epoch(2, checkpoint="two"))])
    assert distant.queue.record_epoch([(claim, epoch(2, checkpoint="two"))]) == set()
    [row] = sql(distant.near, "SELECT epoch, seconds, checkpoint, previous FROM jobs WHERE id = :id", id=claim.job_id)
    assert tuple(row) == (2, 0.5, "two", "one")


def test_a_failure_and_its_refund_are_told_again(distant: Distant) -> None:
    [claim] = distant.queue.claim(ANN, 1, CODE)
    with distant.no_answer():
        distant.queue.fail(claim, "boom", cause="crash")
    distant.queue.fail(claim, "boom", cause="crash")
    assert jobs(distant.near)[0].retries == 1
    with distant.no_answer():
        distant.queue.refund([claim], ANN, cause="sick-node")
    assert distant.queue.refund([claim], ANN, cause="sick-node") == 0
    assert jobs(distant.near)[0].retries == 0
    assert whys(distant, claim.job_key) == ["launched", "claimed", "crash", "sick-node"]
