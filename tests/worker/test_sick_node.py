"""One machine of many is sick: it stops by itself, the others do the sweep, and no job pays for it."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from nftlab.store import complete, verify
from nftlab.worker import WorkerOptions, run_worker
from tests.store.jobtable import sql
from tests.worker import toy
from tests.worker.conftest import Lab
from tests.worker.storm import real, trainers_of

LITTLE = 1 << 30  # bytes of address space: enough for a supervisor, not for torch


def starved(options: WorkerOptions) -> int:
    """A real worker on a machine without memory."""
    resource.setrlimit(resource.RLIMIT_AS, (LITTLE, LITTLE))
    return run_worker(options)


@pytest.mark.parametrize(
    ("work", "device", "said"),
    [(starved, "cpu", "before it could train"), pytest.param(real, "cuda:7", "device cuda:7", marks=pytest.mark.ci)],
    ids=["no memory", "no such GPU"],
)
def test_it_stops_and_the_sweep_completes(lab_anywhere: Lab, work: Callable[[WorkerOptions], int], device: str, said: str) -> None:
    lab = lab_anywhere
    lab.sweep(seeds=40, epochs=4)
    sick = lab.fork(work, "sick", device=device)
    lab.until(lambda: trainers_of(sick.pid or 0))  # it looks for a job next
    healthy = [lab.fork(toy.work, "healthy", pack=1) for _ in range(7)]
    for worker in healthy:
        worker.join(120)
    sick.join(120)
    assert [worker.exitcode for worker in healthy] == [0] * 7, (lab.runs.parent / "healthy").read_text()
    heard = (lab.runs.parent / "sick").read_text()
    assert sick.exitcode == 69, heard
    assert said in heard
    assert complete(verify(lab.engine, "small"))
    assert {(row.retries, row.attempts) for row in lab.jobs()} == {(0, 1)}
    assert not sql(lab.engine, "SELECT id FROM attempts WHERE pid = :pid", pid=sick.pid)
