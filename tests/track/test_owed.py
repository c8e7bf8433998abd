"""Which copies are owed: by a worker that lives, by one that was killed, and to whom they fall."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from nftlab.track import Mirror, Owed, TrackedJob, open_tracker

NOTE = """
import sys
from pathlib import Path
from nftlab.track import Owed
Owed(Path(sys.argv[1])).note("a1")
print("noted", flush=True)
sys.stdin.read()  # it lives as long as the test
"""


def names(folder: Path) -> list[str]:
    return sorted(note.name.partition("@")[0] for note in folder.iterdir())


@pytest.fixture
def noter(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another worker, which has noted job a1."""
    with subprocess.Popen([sys.executable, "-c", NOTE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"noted\n"
        yield worker
        worker.kill()


def test_what_a_killed_worker_owed_falls_to_one_other(noter: subprocess.Popen[bytes], tmp_path: Path) -> None:
    owed = Owed(tmp_path)
    assert owed.orphans() == set(), "it lives"
    assert not owed.adopt("a1")
    noter.kill()
    noter.wait()
    assert owed.orphans() == {"a1"}
    assert owed.adopt("a1")
    assert owed.orphans() == set(), "it is ours now"
    assert not owed.adopt("a1")
    assert names(tmp_path) == [f"a1.{os.getpid()}"]
    owed.settle("a1")
    assert names(tmp_path) == []


@pytest.mark.usefixtures("noter")
def test_whoever_takes_a_job_over_waits_for_a_living_worker_to_close_its_copy(tmp_path: Path) -> None:
    [theirs] = tmp_path.iterdir()
    owed = Owed(tmp_path)
    owed.note("a1")
    taking = threading.Thread(target=owed.take_over, args=("a1",))
    taking.start()
    taking.join(0.5)
    assert taking.is_alive()
    theirs.unlink()
    taking.join(10)
    assert not taking.is_alive()
    assert names(tmp_path) == [f"a1.{os.getpid()}"]


def test_whoever_takes_a_job_over_waits_for_no_dead_worker_and_for_no_later_one(tmp_path: Path) -> None:
    here, owed = socket.gethostname(), Owed(tmp_path)
    (tmp_path / f"a1.999999999@{here}").touch()
    owed.note("a1")
    (later := tmp_path / f"a1.{os.getppid()}@{here}").touch()
    os.utime(later, ns=(0, time.time_ns() + 10**9))
    began = time.monotonic()
    owed.take_over("a1", patience=60)
    assert time.monotonic() - began < 30
    assert names(tmp_path) == sorted([f"a1.{os.getpid()}", f"a1.{os.getppid()}"])


def test_whoever_trains_a_job_next_owes_it_alone(tmp_path: Path) -> None:
    (tmp_path / "a1.999999999@elsewhere").touch()
    owed = Owed(tmp_path)
    owed.note("a1")
    owed.take_over("a1", patience=0)
    assert names(tmp_path) == [f"a1.{os.getpid()}"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not tell whether a process is stopped")
def test_a_stopped_worker_is_not_waited_for(noter: subprocess.Popen[bytes], tmp_path: Path) -> None:
    noter.send_signal(signal.SIGSTOP)
    owed, began = Owed(tmp_path), time.monotonic()
    owed.note("a1")
    owed.take_over("a1", patience=60)
    assert time.monotonic() - began < 30
    assert names(tmp_path) == [f"a1.{os.getpid()}"]


def test_a_worker_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    hanging = tmp_path / f"a1.{os.getppid()}@{socket.gethostname()}"
    hanging.touch()
    os.utime(hanging, ns=(0, 0))
    Owed(tmp_path).note("a1")
    Owed(tmp_path).take_over("a1", patience=0.2)
    assert names(tmp_path) == [f"a1.{os.getpid()}"]


def test_nothing_is_owed_once_a_copy_is_closed(tmp_path: Path) -> None:
    copy = Mirror(partial(open_tracker, "none", tmp_path), print, owed=Owed(tmp_path / "owed"))
    for key in ("a1", "b2"):
        copy.start(TrackedJob(key, "small", "f00d", 0, {}))
    assert names(tmp_path / "owed") == [f"{key}.{os.getpid()}" for key in ("a1", "b2")]
    copy.close("a1", None, 0)
    assert copy.shutdown(30)
    assert names(tmp_path / "owed") == [f"b2.{os.getpid()}"]
