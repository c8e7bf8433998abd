"""The two storms, of toy trainers and of real ones, and what must stand in the table and in W&B when they are over."""

from __future__ import annotations

from nftlab.store import complete, curve, verify
from tests.store.jobtable import sql
from tests.track.offline import runs
from tests.worker import toy
from tests.worker.conftest import Lab
from tests.worker.storm import Storm, real


def launch_toys(lab: Lab, *, jobs: int, epochs: int) -> None:
    """A sweep of so many jobs (a multiple of ten)."""
    lab.sweep(seeds=jobs // 10, lr=[round(0.1 * (i + 1), 1) for i in range(10)], epochs=epochs)


def toys(lab: Lab, *, workers: int, every: float, lease: float, most: int | None = None) -> Storm:
    """Workers with the toy trainer, two jobs at once."""
    return Storm(lab.engine, lab.options(pack=2, lease=lease), toy.work, workers, every, lab.runs.parent / "said", most)


def check_toys(lab: Lab) -> None:
    """Every job is done once, no retry spent, with the curve and the end that it has when nothing disturbs it."""
    verified = verify(lab.engine, "small")
    assert complete(verified), verified
    assert verified["extra"] == 0
    rows = lab.jobs()
    assert len(sql(lab.engine, "SELECT job_id FROM transitions WHERE target = 'done' GROUP BY job_id HAVING count(*) = 1")) == len(rows)
    for row in rows:
        points, end = toy.straight(row.config, row.seed)
        found = curve(lab.engine, row.job_id)
        assert [{name: value for name, value in point.items() if name != "seconds"} for point in found] == points
        assert (row.retries, row.best_epoch, row.val_error, row.test_error) == (0, end.best_epoch, end.val_error, end.test_error)
    assert not sql(lab.engine, "SELECT id FROM attempts WHERE ended_at IS NULL")
    # One run per job. A kill just after a finish may cost a run its last epochs, the table has them; and a worker whose lease ran out on
    # a busy machine may mirror its last accepted epoch beside its successor, with the same values.
    tracked = {path.stem: toy.tracked(path) for path in (lab.runs / "tracked").iterdir()}
    assert tracked.keys() == {row.job_key for row in rows}
    for row in rows:
        points, _ = toy.straight(row.config, row.seed)
        assert all(logged == points[logged["epoch"] - 1] for logged in tracked[row.job_key])


def launch_reals(lab: Lab, *, jobs: int, epochs: int) -> None:
    """Two sweeps of the same jobs: "disturbed", and "twin", which waits (cancelled) to tell what should have come out."""
    for name in ("disturbed", "twin"):
        lab.sweep(name, seeds=jobs, epochs=epochs)
    lab.queue.cancel([row.job_id for row in lab.jobs(sweep="twin")])


def reals(lab: Lab, *, workers: int, every: float) -> Storm:
    """Workers with the real trainer and W&B, one job at a time: the last bits of a result depend on the size of its pack."""
    return Storm(lab.engine, lab.options(pack=1, lease=6.0, track="wandb"), real, workers, every, lab.runs.parent / "said")


def check_reals(lab: Lab) -> None:
    """Every job is done once and equals its twin, which one worker trains now, undisturbed; W&B has each once and whole.

    First one more worker finds nothing to train: W&B gets what those killed at the very end owed it.
    """
    assert lab.work(track="wandb") == 0
    lab.queue.retry([row.job_id for row in lab.jobs(sweep="twin")])
    assert lab.work(pack=1) == 0
    verified = verify(lab.engine, "disturbed")
    assert complete(verified), verified
    rows, curves = lab.jobs(), lab.curves()
    half, ends = len(rows) // 2, [(row.retries, row.best_epoch, row.val_error, row.test_error) for row in rows]
    assert curves[:half] == curves[half:]
    assert ends[:half] == ends[half:]
    copies: dict[str, list[list[int]]] = {row.job_key: [] for row in rows[:half]}
    for run in runs(lab.runs):  # offline each attempt has one; they are one run by their id
        copies[run["id"]].append(run["epochs"])
    for row in rows[:half]:
        assert {epoch for part in copies[row.job_key] for epoch in part} == set(range(1, row.epoch + 1)), row.job_key
        for part in filter(None, copies[row.job_key]):
            assert part == list(range(part[0], part[0] + len(part))), "no epoch twice in one, none left out"
