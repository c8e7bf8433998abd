"""Deeds on the job table while it is away: kept, done in order, each once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from nftlab.errors import OutageError
from nftlab.store import Worker
from nftlab.worker.handle import Setup
from nftlab.worker.messages import Away, Back, Beat, Ended, Epoch, Recorded, Stop, Train
from nftlab.worker.spool import NEWCOMER, Outage, Spool
from nftlab.worker.trainer import Trainer
from tests.worker.conftest import Lab


class Table:
    """A job table that notes what it is told, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[object] = []

    def tell(self, what: object) -> Callable[[], None]:
        def deed() -> None:
            if self.away:
                raise OutageError("nobody answers")
            self.told.append(what)

        return deed


@pytest.fixture
def outage(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr("nftlab.worker.spool.FIRST", 0.0)  # no pauses
    return Outage(lab.queue, lambda line: None)


def test_deeds_are_done_at_once_while_the_table_answers(outage: Outage) -> None:
    table, spool = Table(), Spool(outage)
    spool.put(table.tell(1))
    assert (table.told, spool.empty, outage.error) == ([1], True, None)


def test_deeds_wait_for_the_table_and_keep_their_order(outage: Outage) -> None:
    table, spool = Table(), Spool(outage)
    table.away = True
    spool.put(table.tell(1))
    spool.put(lambda: (table.tell(2)(), spool.put(table.tell(4))))
    spool.put(table.tell(3))
    assert (table.told, spool.empty) == ([], False)
    assert outage.error is not None
    table.away = False
    spool.work_off()
    assert (table.told, spool.empty, outage.error) == ([1, 2, 3, 4], True, None)


def test_what_a_deed_raises_comes_out(outage: Outage) -> None:
    def stumble() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Spool(outage).put(stumble)


def test_pauses_grow_to_a_twelfth_of_the_lease_and_nothing_is_taken_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.sweep()
    lab.queue.claim(Worker("other", "elsewhere", 1), 1, {})
    with lab.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET lease_until = 1")
    said: list[str] = []
    outage = Outage(lab.queue, said.append)
    rests = []
    for _ in range(12):
        outage.note(OutageError("nobody answers", "do something"))
        rests.append(outage.rest)
    assert rests[0] < 0.75 + 0.01
    assert (
        2 < rests[-1] < NEWCOMER * 60
    )  # a twelfth of 60 s, give or take a half: less than a new worker waits before it takes anything back
    lab.queue.reclaim(Worker("me", "here", 2))
    assert lab.jobs()[0].state == "running"
    outage.over()
    outage.over()
    assert [line.split(": ")[0] for line in said] == ["nobody answers", "the job table answers again after 0 s"]


@pytest.fixture
def trainer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The supervisor's end of the pipe to a trainer that finds a checkpoint due after every epoch."""
    monkeypatch.setattr("nftlab.worker.lanes.CHECKPOINT", 0.0)
    monkeypatch.setattr("nftlab.worker.lanes.SHARE", float("inf"))
    ours, theirs = Pipe()

    def serve() -> None:
        with pytest.raises(EOFError):
            Trainer(theirs, Setup("cpu", lab.runs, deterministic=False, parent=os.getpid())).serve()

    thread = threading.Thread(target=serve)
    thread.start()
    yield ours
    ours.close()
    thread.join()


def epochs(pipe: Connection, count: int) -> list[Any]:
    """The next epochs' rows of the one lane."""
    found: list[Any] = []
    while len(found) < count:
        report = pipe.recv()
        assert not isinstance(report, Ended)
        found += [row for _, row in report.rows] if isinstance(report, Epoch) else []
    return found


def test_without_the_table_a_trainer_goes_on_and_keeps_the_checkpoints_that_it_knows(lab: Lab, trainer: Connection) -> None:
    lab.sweep(epochs=10**6)
    [claim] = lab.queue.claim(Worker("me", "here", 1), 1, {})
    files = lab.runs / "checkpoints" / claim.job_key / str(claim.token)

    def saved() -> list[str]:
        return sorted(path.name for path in files.glob("epoch-*"))

    trainer.send(Train((claim,), "apart"))
    [first] = epochs(trainer, 1)
    assert Path(first.checkpoint).name == "epoch-000001.safetensors"
    trainer.send(Away())
    alone = epochs(trainer, 5)  # a trainer that waits for Recorded would say no more
    assert [row.checkpoint for row in alone] == [None] * 5
    assert saved() == ["epoch-000001.safetensors"]
    trainer.send(Stop())
    while not isinstance(report := trainer.recv(), Ended):
        assert isinstance(report, Epoch | Beat)
    assert saved() == ["epoch-000001.safetensors"]


def test_with_the_table_back_a_trainer_writes_checkpoints_again(lab: Lab, trainer: Connection) -> None:
    lab.sweep(epochs=10**6)
    [claim] = lab.queue.claim(Worker("me", "here", 1), 1, {})
    trainer.send(Train((claim,), "apart"))
    epochs(trainer, 1)
    trainer.send(Away())
    epochs(trainer, 3)
    trainer.send(Back())
    waiting = 4
    while True:  # it goes on until a checkpoint is due, then waits for the answers
        trainer.send(Recorded(waiting))
        [row] = epochs(trainer, 1)
        waiting = 1
        if row.checkpoint is not None:
            break
    trainer.send(Stop())
