"""What the tests of shared packs have in common: jobs that start at different epochs, and what each should come to alone."""

from __future__ import annotations

from typing import Any

import pytest

from nftlab.configuration import build, cost_key
from nftlab.data import load
from nftlab.speeds import Speed
from nftlab.store import EpochRow, JobRow, Worker, remember, story
from nftlab.train import Member, Pack
from nftlab.train.checkpoint import save
from nftlab.worker.circumstances import processor
from tests.worker.conftest import Lab

WILD = 1e300  # a learning rate that diverges in double precision too


def pack_of(row: JobRow) -> Pack:
    """The job alone, before its first epoch."""
    return Pack(load("digits"), [Member(row.job_key, row.seed, build(row.config))])


def head_start(lab: Lab, epochs: list[int]) -> None:
    """Another worker trains the first jobs of the queue, each alone for so many epochs, and hands them back."""
    claims = lab.queue.claim(Worker("other", "elsewhere", 1), len(epochs), {})
    for claim, row, count in zip(claims, lab.jobs(), epochs, strict=False):
        pack, folder = pack_of(row), lab.runs / "checkpoints" / claim.job_key / str(claim.token)
        for _ in range(count):
            (result,) = pack.train_epoch()
            state = pack.checkpoint(claim.job_key)
            state.meta["seconds"] = result.seconds
            path, sha = save(folder, state)
            lab.queue.record_epoch([(claim, EpochRow(result.epoch, result.values, result.seconds, result.best, str(path), sha))])
    lab.queue.release(claims, cause="preempted")


def check_curves(lab: Lab) -> None:
    """Every job has the curve that it has alone, within the contract for double precision."""
    for row, points in zip(lab.jobs(), lab.curves(), strict=True):
        pack, expected = pack_of(row), []
        while pack.live:
            (result,) = pack.train_epoch()
            expected.append({"epoch": result.epoch, **result.values})
        assert len(points) == len(expected)
        for point, alone in zip(points, expected, strict=True):
            assert point == pytest.approx(alone, rel=1e-9, nan_ok=True)
        assert (row.state, row.diverged) == ("done", pack.summary(row.job_key).diverged)


def settle_on(lab: Lab, lanes: int, way: str = "mapped") -> None:
    """The job table knows how such jobs train best on this machine, so that no worker measures it."""
    speed = Speed(lanes, way, seconds=1.0, low=1.0, high=1.0, epochs=0, memory=0)
    remember(lab.engine, f"{processor()}, 1 thread", cost_key(build(lab.jobs()[0].config)), [speed])


def attempts(lab: Lab) -> list[dict[str, Any]]:
    """All attempts, by time of their claim."""
    found = [attempt for row in lab.jobs() for attempt in story(lab.engine, row.job_key)["attempts"]]
    return sorted(found, key=lambda attempt: attempt["started_at"])


def joined(lab: Lab) -> list[dict[str, Any]]:
    """The attempts that joined a pack in training."""
    return [attempt for attempt in attempts(lab) if attempt["circumstances"].get("beside")]
