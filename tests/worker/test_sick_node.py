"""One machine of eight is sick: it stops by itself, the others do the sweep, and no job pays for it."""

from __future__ import annotations

import pytest

from nftlab.store import complete, verify
from nftlab.worker import run_worker
from tests.store.jobtable import sql
from tests.worker import sick, toy
from tests.worker.conftest import Lab
from tests.worker.storm import Work, trainers_of


@pytest.mark.parametrize(
    ("work", "device", "said"),
    [(sick.starved, "cpu", "before it could train"), pytest.param(run_worker, "cuda:7", "device cuda:7", marks=pytest.mark.ci)],
    ids=["no memory", "no such GPU"],
)
def test_it_stops_and_the_sweep_completes(lab_anywhere: Lab, work: Work, device: str, said: str) -> None:
    lab = lab_anywhere
    lab.sweep(seeds=40, epochs=4)
    ill = lab.fork(work, "ill", device=device)
    lab.until(lambda: trainers_of(ill.pid or 0) or ill.exitcode is not None)  # it looks for a job next
    healthy = [lab.fork(toy.work, "healthy", pack=1) for _ in range(7)]
    for worker in [ill, *healthy]:
        worker.join(120)
    assert [worker.exitcode for worker in healthy] == [0] * 7, (lab.runs.parent / "healthy").read_text()
    heard = (lab.runs.parent / "ill").read_text()
    assert ill.exitcode == 69, heard
    assert said in heard
    assert complete(verify(lab.engine, "small"))
    assert {(row.retries, row.attempts) for row in lab.jobs()} == {(0, 1)}
    assert not sql(lab.engine, "SELECT id FROM attempts WHERE pid = :pid", pid=ill.pid)
