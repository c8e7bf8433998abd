from __future__ import annotations

from pathlib import Path

from nftlab.store import STATES, Queue
from tests.cli.helpers import JOBS, Invoke, claim, finish, read


def test_without_a_database_there_are_zeros_and_nothing_is_created(invoke: Invoke, folder: Path) -> None:
    result = invoke("status", "--json")
    assert result.exit_code == 0
    assert read(result) == {"jobs": dict.fromkeys(STATES, 0), "jobs_per_hour": 0.0, "eta_seconds": None, "failures": []}
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
