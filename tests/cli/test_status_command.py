from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.store import STATES, Queue
from tests.cli.helpers import JOBS, Invoke, claim, finish, finish_all, learn, read

NOTHING = {"device_hours": 0.0, "low": 0.0, "high": 0.0, "unknown_jobs": 0, "workers": 0, "hours": 0.0, "devices": []}


def test_without_a_database_there_are_zeros_and_nothing_is_created(invoke: Invoke, folder: Path) -> None:
    result = invoke("status", "--json")
    assert result.exit_code == 0
    assert read(result) == {
        "jobs": dict.fromkeys(STATES, 0),
        "jobs_per_hour": 0.0,
        "eta_seconds": None,
        "failures": [],
        "to_propose": 0,
        "forecast": NOTHING,
    }
    assert invoke("status").stdout.splitlines()[0].split() == ["queued", "0"]
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


def test_counts_pace_and_failures(launched: Invoke, queue: Queue) -> None:
    first, second = claim(queue), claim(queue)
    finish(queue, first)
    queue.fail(second[0], "Traceback\nValueError: bad\x07 luck", cause="config")
    found = read(launched("status", "--json"))
    assert found["jobs"] == dict.fromkeys(STATES, 0) | {"done": 1, "failed": 1, "queued": JOBS - 2}
    assert found["jobs_per_hour"] > 0
    text = launched("status").stdout
    assert "jobs per hour" in text
    assert f"failed: {second[0].job_key} (small): ValueError: bad\\x07 luck" in text


def test_one_sweep_only(launched: Invoke, folder: Path) -> None:
    launched("sweep", "launch", "nft/quick")
    assert read(launched("status", "--sweep", "small", "--json"))["jobs"]["queued"] == JOBS
    assert read(launched("status", "--json"))["jobs"]["queued"] > JOBS


def test_what_is_left_costs(launched: Invoke, queue: Queue) -> None:
    assert read(launched("status", "--json"))["forecast"] == NOTHING | {"unknown_jobs": JOBS}
    assert launched("status").stdout.splitlines()[-1] == f"left: {JOBS} jobs of unknown speed: the first worker measures them"
    learn("ct")
    claims = claim(queue)
    found = read(launched("status", "--json"))["forecast"]
    asked = {"device_hours": 4.0, "low": 3.0, "high": 6.0, "unknown_jobs": JOBS - 2, "workers": 1, "hours": 4.0, "devices": ["NVIDIA H200"]}
    assert found == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in asked.items()}
    line = "left: about 4.0 device-hours (3.0 to 6.0) on NVIDIA H200; 4 jobs of unknown speed: the first worker measures them"
    assert launched("status").stdout.splitlines()[-1] == line
    finish(queue, claims)
    finish_all(queue)
    assert "left: " not in launched("status").stdout
