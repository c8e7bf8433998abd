"""Waiting for sweeps to end."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nftlab import store
from nftlab.cli import wait
from nftlab.errors import OutageError
from nftlab.search import Proposer
from nftlab.store import Queue
from tests.cli.helpers import JOBS, SWEEP, Invoke, claim, finish, finish_all, read
from tests.search.lab import ME, search


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only between two looks, however long they take."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(wait, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(wait, "LOOK", 0.05)


def test_it_waits_for_the_last_job(launched: Invoke, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(queue, claim(queue, 2))
    looks = 0

    def look(self: wait.Watch, progress: Any) -> list[str]:
        nonlocal looks
        looks += 1
        left = usual(self, progress)
        if looks == 3:
            assert left == ["small"]
            worker = threading.Thread(target=finish_all, args=(queue,))
            worker.start()
            worker.join()
        return left

    usual = wait.Watch.look
    monkeypatch.setattr(wait.Watch, "look", look)
    waited = launched("sweep", "wait", "small.yaml", "--timeout", "60s")
    assert (waited.exit_code, looks, waited.stdout) == (0, 4, f"small: complete, {JOBS} runs recorded exactly once\n")
    assert read(launched("sweep", "wait", "small", "--json"))[0].items() >= {"sweep": "small", "ended": True, "complete": True}.items()


def test_failed_jobs_end_it_too(launched: Invoke, queue: Queue) -> None:
    queue.fail(claim(queue)[0], "no luck", cause="config")
    finish_all(queue)
    waited = launched("sweep", "wait", "small")
    assert (waited.exit_code, waited.stdout) == (1, f"small: {JOBS - 1} of {JOBS} recorded; 1 failed\n")


def test_the_time_is_up(launched: Invoke, queue: Queue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "IDLE", 0.1)
    (folder / "other.yaml").write_text(SWEEP.replace("name: small", "name: other").replace("seeds: 2", "seeds: 1"))
    assert launched("sweep", "launch", "other.yaml").exit_code == 0
    finish_all(queue)
    assert launched("sweep", "launch", "small.yaml", "--rerun", "--yes").exit_code == 0
    waited = launched("sweep", "wait", "other", "small", "small", "--timeout", "0.5s", "--json")
    assert waited.exit_code == 75
    assert [(one["sweep"], one["ended"], one["queued"]) for one in read(waited)] == [("other", True, 0), ("small", False, JOBS)]
    told = "nothing of small trains; nftlab worker --drain\nthe time is up; to wait on: nftlab sweep wait small\n"
    assert waited.stderr == told


def test_it_says_once_that_a_sweep_is_paused_and_that_the_table_is_away(
    launched: Invoke, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launched("sweep", "pause", "small").exit_code == 0
    asked = 0

    def launched_ones(engine: Any) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        if asked in (2, 3, 5):
            raise OutageError("the server went away")
        return usual(engine)

    usual = store.launched
    monkeypatch.setattr(store, "launched", launched_ones)
    waited = launched("sweep", "wait", "small", "--timeout", "0.6s")
    assert waited.exit_code == 75
    assert asked > 5
    assert waited.stderr.splitlines() == [
        "small is paused; nftlab sweep resume small",
        *["waiting for the job table: the server went away"] * 2,
        "the time is up; to wait on: nftlab sweep wait small",
    ]


def test_the_time_is_up_while_the_table_is_away(launched: Invoke, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise OutageError("the server went away")

    for reading in ("launched", "verify"):
        monkeypatch.setattr(store, reading, away)
    waited = launched("sweep", "wait", "small", "--timeout", "0.1s")
    assert (waited.exit_code, waited.stdout) == (75, "")
    assert waited.stderr.splitlines()[-1] == "the time is up, and the job table does not answer: the server went away"


def test_jobs_that_are_proposed_while_it_looks_are_waited_for(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = store.open_db(None, create=True)
    assert engine is not None
    store.launch(engine, search(1, seeds=1), code={})

    def late(engine: Any) -> Any:
        monkeypatch.setattr(store, "launched", usual)
        assert Proposer(engine, ME, print).propose(1) == 1
        return usual(engine)

    usual = store.launched
    monkeypatch.setattr(store, "launched", late)
    assert wait.Watch(engine, ["s"], "").look(lambda *_: None) == ["s"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nowhere",), 66, "'nowhere' was never launched"),
        (("small", "--timeout", "soon"), 2, "'soon' is not a time such as 20h"),
        ((), 2, "Missing argument"),
    ],
)
def test_wrong_words(arguments: tuple[str, ...], code: int, told: str, launched: Invoke) -> None:
    wrong = launched("sweep", "wait", *arguments)
    assert wrong.exit_code == code
    assert told in wrong.stderr + str(wrong.exception)


def test_nothing_to_wait_for(invoke: Invoke) -> None:
    assert invoke("sweep", "wait", "small.yaml").exit_code == 66


def test_a_sweep_deleted_meanwhile(launched: Invoke, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: wait.Watch, progress: Any) -> list[str]:
        left = usual(self, progress)
        store.delete(self._engine, "small")
        return left

    usual = wait.Watch.look
    monkeypatch.setattr(wait.Watch, "look", look)
    assert launched("sweep", "wait", "small", "--timeout", "60s").exit_code == 66
