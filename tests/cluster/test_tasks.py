"""Reading `squeue` and stopping, with commands that answer what Slurm's would."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.cluster import Stopped, stop, tasks
from nftlab.errors import ClusterError
from tests.cluster.test_launch import bin as bin
from tests.cluster.test_launch import program

QUEUE = """\
12|0|RUNNING|n1|1:02|3:58:58|None
12|1|PENDING||0:00|4:00:00|Resources
12|2|FAILED|n2|0:10|3:59:50|NonZeroExitCode
15|N/A|RUNNING|n2|0:30|0:30|None
"""


@pytest.fixture
def squeue(bin: Path, tmp_path: Path) -> Path:
    """A queue that scancel empties: what was told to go is gone when next asked."""
    (tmp_path / "queue").write_text(QUEUE)
    program(bin, "squeue", f"cat {tmp_path}/queue")
    program(bin, "scontrol", f'echo "scontrol $*" >>{tmp_path}/told')
    program(
        bin,
        "scancel",
        f"""
echo "scancel $*" >>{tmp_path}/told
case "$*" in *--signal=TERM*) sed -i s/12.0.RUNNING/12\\|0\\|FAILED/ {tmp_path}/queue ;; esac""",
    )
    return tmp_path


def test_the_queue_is_read(squeue: Path) -> None:
    found = tasks()
    assert [(task.task, task.state, task.node, task.reason, task.there) for task in found] == [
        ("12_0", "running", "n1", "", True),
        ("12_1", "pending", "", "Resources", True),
        ("12_2", "failed", "n2", "NonZeroExitCode", False),
        ("15", "running", "n2", "", True),
    ]
    assert [task.task for task in tasks(only=["15", "12_1"])] == ["12_1", "15"]
    assert len(tasks(only=["12"])) == 3


def test_those_that_wait_are_cancelled_those_that_run_are_told(squeue: Path) -> None:
    assert stop(only=["12"]) == Stopped(waiting=1, left=1, cancelled=0)
    assert (squeue / "told").read_text().splitlines() == [
        "scancel 12_1",
        "scontrol update JobId=12_0 Requeue=0",
        "scancel --signal=TERM 12_0",
    ]


def test_one_that_does_not_leave_is_cancelled(squeue: Path) -> None:
    assert stop(only=["15"], patience=0) == Stopped(waiting=0, left=0, cancelled=1)
    assert (squeue / "told").read_text().splitlines()[-1] == "scancel 15"


def test_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="squeue is not on the PATH"):
        tasks()
