"""From a launched sweep to finished jobs, undisturbed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nftlab.store import story, verify
from nftlab.train.checkpoint import load
from tests.worker.conftest import Lab


def test_a_sweep_is_drained(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.sweep(seeds=2, lr=[0.001, 0.01])
    assert lab.work(pack=3) == 0
    rows = lab.jobs()
    assert [row.state for row in rows] == ["done"] * 4
    assert [row.attempts for row in rows] == [1] * 4
    assert verify(lab.engine, "small")["done"] == 4
    for row, points in zip(rows, lab.curves(), strict=True):
        assert [point["epoch"] for point in points] == [1, 2, 3]
        assert all(math.isfinite(point[name]) for point in points for name in ("train/loss", "train/error", "val/loss", "val/error"))
        best = min(points, key=lambda point: point["val/error"])
        assert (row.best_epoch, row.val_error, row.test_error) == (best["epoch"], best["val/error"], best["test/error"])
        assert row.seconds > 0
        assert load(lab.runs / "checkpoints" / row.job_key / "best.safetensors").meta["epoch"] == row.best_epoch
    out, err = capfd.readouterr()
    assert out == ""
    assert f"worker on {lab.url}" in err
    assert err.count("done ") == 4
    check_circumstances(lab)


def check_circumstances(lab: Lab) -> None:
    first = lab.jobs()[0]
    noted = story(lab.engine, first.job_key)["attempts"][0]["circumstances"]
    assert {"git_sha", "dirty", "nftlab", "python", "torch", "device", "device_name", "threads", "host", "argv"} <= noted.keys()
    assert (noted["device"], noted["threads"], noted["pack_size"], noted["data"]) == ("cpu", 1, 3, "embedded")
    assert first.job_key in noted["pack"]
    assert len(noted["data_sha"]) == 64


@pytest.mark.ci
def test_max_jobs_and_drain_now(lab: Lab) -> None:
    """`--max-jobs` leaves the rest queued; `--drain-now` takes it."""
    lab.sweep(seeds=3)
    assert lab.work(drain=False, max_jobs=2, pack=1) == 0
    assert [row.state for row in lab.jobs()] == ["done", "done", "queued"]
    assert lab.work(drain=False, drain_now=True) == 0
    assert lab.queue.drained()


def test_nothing_to_do_is_success(lab: Lab) -> None:
    assert lab.work() == 0
    assert not Path(lab.runs).exists()


@pytest.mark.ci
def test_a_new_job_table_beside_old_checkpoints(lab: Lab) -> None:
    lab.sweep(epochs=4)
    (row,) = lab.jobs()
    old = lab.runs / "checkpoints" / row.job_key / "1" / "epoch-000099.safetensors"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of a table that was deleted")
    assert lab.work() == 0
    kept = sorted(path.name for path in old.parent.glob("epoch-*"))
    assert kept == ["epoch-000001.safetensors", "epoch-000004.safetensors"]
