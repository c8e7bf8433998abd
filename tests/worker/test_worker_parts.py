"""The small parts of a worker."""

from __future__ import annotations

from typing import Any

import pytest

from nftlab.errors import UsageError
from nftlab.worker import WorkerOptions, pack_size
from nftlab.worker.circumstances import without_secrets


@pytest.mark.parametrize(
    "wrong",
    [
        {"drain": True, "drain_now": True},
        {"device": "gpu"},
        {"pack": 0},
        {"pack": "many"},
        {"track": "tensorboard"},
        {"lease": 0.0},
        {"max_jobs": 0},
        {"stalled_after": -1.0},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        WorkerOptions(**wrong)


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_LEASE", "7")
    monkeypatch.setenv("NFTLAB_RUNS", "/somewhere")
    assert (WorkerOptions().lease, str(WorkerOptions().runs)) == (7.0, "/somewhere")
    monkeypatch.setenv("NFTLAB_LEASE", "soon")
    with pytest.raises(UsageError, match="soon"):
        WorkerOptions()
    monkeypatch.delenv("NFTLAB_LEASE")
    monkeypatch.delenv("NFTLAB_RUNS")
    assert (WorkerOptions().lease, str(WorkerOptions().runs)) == (60.0, "runs")


def test_auto_pack_sizes() -> None:
    assert pack_size.auto({"network": "fc-a"}, "cpu") > pack_size.auto({"network": "fc-b"}, "cpu") == 1
    assert pack_size.auto({"network": "cnn-a"}, "cpu") == 1
    assert pack_size.auto({"network": "fc-a", "simplifier": "unet"}, "cpu") == 1
    assert pack_size.auto({"network": "cnn-a"}, "cuda:0") > 1


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgresql://me:secret@host/lab", "postgresql://me:***@host/lab"),
        ("postgresql://me@host/lab", "postgresql://me@host/lab"),
        ("--api-key=abc", "--api-key=***"),
        ("--drain", "--drain"),
    ],
)
def test_command_lines_are_recorded_without_secrets(word: str, shown: str) -> None:
    assert without_secrets(word) == shown
