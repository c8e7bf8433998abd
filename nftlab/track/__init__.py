"""Trackers: where curves are mirrored. The epoch rows of the job table are the truth, a tracker is a copy of them.

A tracker is one file and one line in `TRACKERS`. Nothing is imported before the first job is tracked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nftlab.errors import UsageError, nearest
from nftlab.track.job import Say, TrackedJob, Tracker
from nftlab.track.mirror import Mirror
from nftlab.track.owed import Owed


def _none(job: TrackedJob, runs: Path, say: Say) -> Tracker:
    from nftlab.track.none import NoTracker

    return NoTracker()


def _wandb(job: TrackedJob, runs: Path, say: Say) -> Tracker:
    from nftlab.track.wandb import open_wandb

    return open_wandb(job, runs, say)


TRACKERS: Mapping[str, Callable[[TrackedJob, Path, Say], Tracker]] = {"none": _none, "wandb": _wandb}


def check_tracker(kind: str) -> None:
    """Raises UsageError for a tracker that there is not, and for one that the environment asks for what it cannot do."""
    _opener(kind)
    if kind == "wandb":
        from nftlab.track.wandb import asked_mode

        asked_mode()


def open_tracker(kind: str, runs: Path, job: TrackedJob, say: Say) -> Tracker:
    """The tracker `kind` ("none" or "wandb") for one job, with its files under `runs`; raises what `check_tracker` does."""
    return _opener(kind)(job, runs, say)


def _opener(kind: str) -> Callable[[TrackedJob, Path, Say], Tracker]:
    if kind not in TRACKERS:
        raise UsageError(f"tracker {kind!r} is not one of {', '.join(TRACKERS)}{nearest(kind, TRACKERS)}")
    return TRACKERS[kind]


def close_trackers(kind: str) -> None:
    """After the last tracker of a process: returns when their files are whole on disk."""
    if kind == "wandb" and "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


__all__ = ["TRACKERS", "Mirror", "Owed", "Say", "TrackedJob", "Tracker", "check_tracker", "close_trackers", "open_tracker"]
