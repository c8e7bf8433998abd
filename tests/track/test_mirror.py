"""Trackers in the background, and whose copies are owed."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest.mock import MagicMock

from nftlab.track import Mirror, Owed, Say, TrackedJob, Tracker


def job(key: str) -> TrackedJob:
    return TrackedJob(key, "sweep", "trial", 0, {}, None, ())


def test_a_note_stays_until_the_last_attempt_of_its_job_is_copied(tmp_path: Path) -> None:
    """One that failed may be copied to its end only when the same worker has begun the next."""
    held = threading.Event()

    def slow(_job: TrackedJob, _say: Say) -> Tracker:
        held.wait(10)
        return MagicMock()

    mirror = Mirror(slow, print, owed=Owed(tmp_path))
    mirror.start(job("a"))
    mirror.close("a", None, 1)
    mirror.start(job("a"))
    held.set()
    mirror.log("a", 1, {})
    done = threading.Event()
    mirror._calls.put(done.set)
    assert done.wait(10)
    assert [note.name.partition(".")[0] for note in tmp_path.iterdir()] == ["a"]
    mirror.close("a", {}, 0)
    assert mirror.shutdown(10)
    assert not list(tmp_path.iterdir())
