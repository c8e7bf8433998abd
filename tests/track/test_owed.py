"""Which copies are owed: by a worker that lives, by one that was killed, and to whom they fall."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from nftlab.track import Mirror, Owed, TrackedJob, open_tracker

NOTE = "import sys, time; from pathlib import Path; from nftlab.track import Owed\n"
NOTE += "Owed(Path(sys.argv[1])).note('a1'); print('noted', flush=True); time.sleep(600)"


def names(folder: Path) -> list[str]:
    return sorted(note.name.partition("@")[0] for note in folder.iterdir())


def test_what_a_killed_worker_owed_falls_to_one_other(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", NOTE, tmp_path], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"noted\n"
        owed = Owed(tmp_path)
        assert owed.inherit() == [], "it lives"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert owed.inherit() == ["a1"]
    assert owed.inherit() == [], "it is ours now"
    assert names(tmp_path) == [f"a1.{os.getpid()}"]
    owed.settle("a1")
    assert names(tmp_path) == []


def test_whoever_trains_a_job_next_owes_it_alone(tmp_path: Path) -> None:
    (tmp_path / "a1.999999999@elsewhere").touch()
    Owed(tmp_path).note("a1")
    assert names(tmp_path) == [f"a1.{os.getpid()}"]


def test_nothing_is_owed_once_a_copy_is_closed(tmp_path: Path) -> None:
    copy = Mirror(lambda job, say: open_tracker("none", job, tmp_path, say), print, owed=Owed(tmp_path / "owed"))
    for key in ("a1", "b2"):
        copy.start(TrackedJob(key, "small", "f00d", 0, {}))
    assert names(tmp_path / "owed") == [f"{key}.{os.getpid()}" for key in ("a1", "b2")]
    copy.close("a1", None, 0)
    assert copy.shutdown(30)
    assert names(tmp_path / "owed") == [f"b2.{os.getpid()}"]
