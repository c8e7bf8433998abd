"""A lab in a temporary folder: a real job table, real sweeps, real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.errors import DatabaseError
from nftlab.spec import load_text
from nftlab.store import JobRow, Queue, curve, jobs, launch, open_db, story
from nftlab.store.session import session
from nftlab.worker import WorkerOptions, run_worker
from tests.store.conftest import TABLES
from tests.store.conftest import postgres_url as postgres_url
from tests.store.jobtable import sql
from tests.train.conftest import one_thread as one_thread
from tests.worker.storm import Work, start, trainers_of

_SCRIPT = "import sys; from pathlib import Path; from nftlab.worker import *; sys.exit(run_worker(WorkerOptions({arguments})))"


class Lab:
    """One job table (SQLite unless a URL says otherwise) and one runs folder; `sweep` fills the first, `work` and `start` bring workers."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.url = url or f"sqlite:///{folder / 'lab.sqlite'}"
        self.runs = folder / "runs"
        engine = open_db(self.url, create=True)
        assert engine is not None
        self.engine: Engine = engine
        self.queue = Queue(engine)
        self.started: list[subprocess.Popen[str]] = []
        self.forked: list[BaseProcess] = []

    def sweep(self, name: str = "small", *, seeds: int = 1, retries: int = 3, priority: int = 0, **parameters: Any) -> None:
        """Launches a grid over digits, FC-A, CT; a list is a dimension."""
        fields = {"dataset": "digits", "network": "fc-a", "algorithm": "ct", "epochs": 3, "lr": 0.001, **parameters}
        lines = [
            f"  {key}: {{values: {value}}}" if isinstance(value, list) else f"  {key}: {{value: {value}}}" for key, value in fields.items()
        ]
        head = [f"name: {name}", "method: grid", "metric: {name: val/error, goal: minimize}", "parameters:"]
        text = "\n".join([*head, *lines, "nftlab:", f"  seeds: {seeds}", f"  retries: {retries}", f"  priority: {priority}", ""])
        launch(self.engine, load_text(text), code={"git_sha": None, "dirty": None})

    def options(self, **given: Any) -> WorkerOptions:
        """A worker of this lab that leaves when drained and tracks nothing, unless told otherwise."""
        return WorkerOptions(**{"db": self.url, "runs": self.runs, "drain": True, "track": "none", "device": "cpu", **given})

    def work(self, **given: Any) -> int:
        """Runs a worker to its end in this process."""
        return run_worker(self.options(**given))

    def start(self, **given: Any) -> subprocess.Popen[str]:
        """Starts a worker of its own, killed at the end of the test if need be."""
        options = self.options(**given)
        arguments = ", ".join(f"{name}={getattr(options, name)!r}" for name in WorkerOptions.__dataclass_fields__).replace(
            "PosixPath", "Path"
        )
        command = [sys.executable, "-c", _SCRIPT.format(arguments=arguments)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(worker)
        return worker

    def fork(self, work: Work, voice: str, **given: Any) -> BaseProcess:
        """Starts a worker quickly, killed at the end of the test if need be; what it says is in the file `voice` of the lab."""
        self.forked.append(start(work, self.options(**given), self.runs.parent / voice))
        return self.forked[-1]

    def jobs(self, **selectors: Any) -> list[JobRow]:
        """The jobs, in launch order."""
        return jobs(self.engine, **selectors)

    def curves(self) -> list[list[dict[str, Any]]]:
        """Every job's curve without its times."""
        found = [curve(self.engine, job.job_id) for job in self.jobs()]
        return [[{name: value for name, value in row.items() if name != "seconds"} for row in rows] for rows in found]

    def causes(self, job: JobRow) -> list[str | None]:
        """How the job's attempts ended, oldest first."""
        return [attempt["cause"] for attempt in story(self.engine, job.job_key)["attempts"]]

    def close(self) -> None:
        """Ends what was started."""
        for worker in self.started:
            worker.kill()
            worker.communicate()
        for forked in self.forked:
            forked.kill()
            forked.join()
        self.engine.dispose()

    def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Waits for a condition on the lab."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)


def spawned(parent: int) -> list[int]:
    """The process ids of a process's spawned children: a worker's trainer, a crew's workers."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in words:
            found.append(int(child))
    return found


def trainer_of(worker: int) -> int | None:
    """The process id of a worker's trainer, None when it has none."""
    return next(iter(spawned(worker)), None)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sleep(lab: Lab, worker: int) -> list[int]:
    """Stops a worker that trains the first job, and its trainer, between two transactions; returns both."""
    lab.until(lambda: lab.jobs()[0].epoch >= 2)
    both = [worker, *trainers_of(worker)]
    assert len(both) == 2

    def stopped() -> bool:
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        if free(lab):
            return True
        for pid in both:
            os.kill(pid, signal.SIGCONT)
        return False

    lab.until(stopped)
    return both


def free(lab: Lab) -> bool:
    """Whether nobody is in the middle of a write, or on Postgres of anything: a sentence under way may leave a transaction open."""
    if lab.engine.dialect.name == "postgresql":
        return not sql(lab.engine, "SELECT pid FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()")
    try:
        with session(lab.engine, patience=0.0):
            return True
    except DatabaseError:
        return False


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])))
    found = Lab(tmp_path)
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgres"])
def lab_anywhere(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """An empty lab on each of the databases in turn."""
    if request.param == "sqlite":
        yield lab
        return
    other = Lab(tmp_path, request.getfixturevalue("postgres_url"))
    sql(other.engine, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    yield other
    other.close()
