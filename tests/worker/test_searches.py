"""Searches and pruning with the real worker on digits."""

from __future__ import annotations

import pytest

from nftlab.spec import load_text
from nftlab.store import complete, launch, set_priority, story, verify
from tests.store.jobtable import sql
from tests.worker.conftest import Lab

SEARCH = """
name: small
method: bayes
run_cap: 3
parameters:
  dataset: {value: digits}
  network: {value: fc-a}
  epochs: {value: 2}
  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-2}
nftlab:
  seeds: 2
  sampler: {name: tpe, n_startup_trials: 2}
"""
CODE = {"git_sha": None, "dirty": None}


def test_a_worker_proposes_until_the_budget_is_spent(lab: Lab) -> None:
    launch(lab.engine, load_text(SEARCH), code=CODE)
    assert lab.work(pack=2) == 0
    found = verify(lab.engine, "small")
    assert complete(found)
    assert (found["expected"], found["done"]) == (6, 6)
    assert len({job.trial_key for job in lab.jobs()}) == 3


def test_a_search_of_higher_priority_trains_before_what_waits(lab: Lab) -> None:
    launch(lab.engine, load_text(SEARCH), code=CODE)
    lab.sweep("grid", seeds=4, batch_size=64)
    set_priority(lab.engine, "small", 1)
    assert lab.work(pack=2) == 0
    begun = sorted(lab.jobs(), key=lambda job: began(lab, job.job_id))
    assert [job.sweep for job in begun] == ["small"] * 6 + ["grid"] * 4


def began(lab: Lab, job_id: int) -> float:
    """When a job's first attempt began."""
    return float(sql(lab.engine, "SELECT min(started_at) AS at FROM attempts WHERE job_id = :job", job=job_id)[0].at)


@pytest.mark.ci
def test_a_search_that_cannot_go_on_stops_no_other_sweep_and_shows_in_the_exit_code(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    launch(lab.engine, load_text(SEARCH), code=CODE)
    sql(lab.engine, "UPDATE sweeps SET source = replace(source, 'lr:', 'learning_speed:')")
    lab.sweep("grid")
    assert lab.work() == 1
    assert [(job.sweep, job.state) for job in lab.jobs()] == [("grid", "done")]
    assert "small: no more trials are proposed here" in capfd.readouterr().err


def test_a_pruned_job_leaves_its_pack_and_keeps_its_curve(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """Of two learning rates one learns nothing: at its first band it goes, its neighbour trains to the end."""
    text = SEARCH.replace("method: bayes\nrun_cap: 3", "method: grid\nearly_terminate: {type: hyperband, min_iter: 2, strict: true}")
    text = (
        text.replace("epochs: {value: 2}", "epochs: {value: 5}").partition("  lr:")[0]
        + "  lr: {values: [1e-2, 1e-7]}\nnftlab: {seeds: 2}\n"
    )
    launch(lab.engine, load_text(text), code=CODE)
    assert lab.work(pack=4) == 0
    found = verify(lab.engine, "small")
    assert complete(found)
    assert (found["done"], found["pruned"]) == (2, 2)
    for job, points in zip(lab.jobs(), lab.curves(), strict=True):
        assert job.state == ("done" if job.config["lr"] == 1e-2 else "pruned")
        assert [point["epoch"] for point in points] == list(range(1, 6 if job.state == "done" else 3))
        assert job.val_error == min(point["val/error"] for point in points)
        assert lab.causes(job) == ["finished" if job.state == "done" else "early_terminate: behind at epoch 2"]
        assert job.best_epoch is not None
    assert story(lab.engine, lab.jobs()[3].job_key)["transitions"][-1]["target"] == "pruned"
    assert capfd.readouterr().err.count("behind at epoch 2") == 2
