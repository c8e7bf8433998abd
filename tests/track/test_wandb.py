"""The W&B mirror, against the real wandb: offline files are read back, a server that never answers delays nobody."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wandb

from nftlab.errors import UsageError
from nftlab.track import Mirror, TrackedJob, check_tracker, close_trackers, open_tracker
from nftlab.track import wandb as track
from nftlab.track.wandb import has_key
from tests.track.offline import runs

ROOT = Path(__file__).parents[2]


def job(key: str = "a1", *, recorded: int = 0, seed: int = 0) -> TrackedJob:
    config = {"algorithm": "ct", "network": "fc-a", "dataset": "digits", "lr": 1e-4}
    history = tuple((epoch, {"val/error": 10.0 - epoch}) for epoch in range(1, recorded + 1))
    return TrackedJob(key, "nft/quick", "f00dfeed", seed, config, "c0ffee", history)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODE", "API_KEY", "DIR", "PROJECT", "BASE_URL", "TAGS", "RUN_GROUP", "JOB_TYPE", "NAME", "ENTITY"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)


def mirror(folder: Path, said: list[str]) -> Mirror:
    return Mirror(partial(open_tracker, "wandb", folder), said.append, lambda: close_trackers("wandb"))


@pytest.mark.parametrize("dropped", ["x_disable_meta", "_masked_words"])
def test_no_password_of_the_command_line_in_its_files(dropped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two ways is enough: an older wandb may not know the setting, a newer one may look elsewhere for the words."""
    words = ["nftlab", "worker", "--db", "postgresql://me:hunter2 hunter2%40@host/lab", "postgresql://host/lab?password=hunter2"]
    monkeypatch.setattr(sys, "argv", words)
    if dropped in track._SETTINGS:
        monkeypatch.delitem(track._SETTINGS, dropped)
    else:
        monkeypatch.setattr(track, dropped, contextlib.nullcontext)
    copy = mirror(tmp_path, [])
    copy.start(job())
    copy.log("a1", 1, {"val/error": 9.0})
    copy.close("a1", {}, 0)
    assert copy.shutdown(30)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"val/error" in text for text in kept)
    assert not any(b"hunter2" in text for text in kept)
    assert sys.argv is words


def test_one_run_per_job_with_every_epoch(tmp_path: Path) -> None:
    said: list[str] = []
    copy = mirror(tmp_path, said)
    for seed, key in enumerate(("a1", "b2")):
        copy.start(job(key, seed=seed))
    for epoch in (1, 2, 3):
        for key in ("a1", "b2"):
            copy.log(key, epoch, {"val/error": 10 / 2**epoch, "train/loss": 0.5})
    copy.close("a1", {"best_epoch": 3, "val/error": 1.25, "test/error": 4.4, "diverged": False}, 0)
    copy.close("b2", None, 1)
    assert copy.shutdown(30)
    first, second = sorted(runs(tmp_path), key=lambda run: run["id"])
    assert (first["id"], second["id"]) == ("a1", "b2")
    assert first["epochs"] == second["epochs"] == [1, 2, 3]
    assert [row["_step"] for row in first["rows"]] == [1, 2, 3]
    assert [row["val/error"] for row in first["rows"]] == [5.0, 2.5, 1.25]
    assert (first["project"], first["group"], first["job_type"], first["name"]) == ("nftlab", "f00dfeed", "ct", "ct-fc-a-digits-f00dfe-s0")
    assert first["tags"] == ["nft/quick", "ct", "fc-a", "digits", "seed-0"]
    assert second["config"]["seed"] == 1
    assert first["config"]["lr"] == 1e-4
    assert {name: first["config"][f"nftlab/{name}"] for name in ("sweep", "job", "trial", "sha")} == {
        "sweep": "nft/quick",
        "job": "a1",
        "trial": "f00dfeed",
        "sha": "c0ffee",
    }
    assert {name: first["summary"][name] for name in ("best_epoch", "val/error", "test/error", "diverged")} == {
        "best_epoch": 3,
        "val/error": 1.25,
        "test/error": 4.4,
        "diverged": False,
    }
    assert (first["exit_code"], second["exit_code"]) == (0, 1)
    assert len(said) == 1
    assert "wandb sync" in said[0]


def test_a_job_handed_back_is_resumed_without_repeating_epochs(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [])
    copy.start(job())
    copy.log("a1", 1, {"val/error": 9.0})
    copy.log("a1", 2, {"val/error": 8.0})
    copy.close("a1", None, 75)
    copy.start(job(recorded=2))  # its checkpoint was of epoch 1: epoch 2 is trained again
    copy.log("a1", 2, {"val/error": 8.0})
    copy.log("a1", 3, {"val/error": 7.0})
    copy.close("a1", {"best_epoch": 3}, 0)
    assert copy.shutdown(30)
    first, second = runs(tmp_path)
    assert first["id"] == second["id"] == "a1"
    assert first["epochs"] + second["epochs"] == [1, 2, 3]
    assert first["preempted"]
    assert not second["preempted"]


def test_a_job_that_starts_over_is_logged_over(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [])
    for error in (9.0, 5.0):  # the second time after --rerun, or with a new job table
        copy.start(job())
        for epoch in (1, 2):
            copy.log("a1", epoch, {"val/error": error})
        copy.close("a1", {"best_epoch": 1}, 0)
    assert copy.shutdown(30)
    assert [[row["val/error"] for row in run["rows"]] for run in runs(tmp_path)] == [[9.0, 9.0], [5.0, 5.0]]


def test_what_a_killed_worker_had_not_written_is_logged_by_the_next(tmp_path: Path) -> None:
    cut_short = tmp_path / "wandb" / "offline-run-20260101_000000-a1"
    cut_short.mkdir(parents=True)
    (cut_short / "run-a1.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    copy = mirror(tmp_path, [])
    copy.start(job(recorded=2))
    copy.log("a1", 3, {"val/error": 7.0})
    copy.close("a1", {"best_epoch": 3}, 0)
    assert copy.shutdown(30)
    (run,) = runs(tmp_path)
    assert [(row["epoch"], row["val/error"]) for row in run["rows"]] == [(1, 9.0), (2, 8.0), (3, 7.0)]


def test_the_environment_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    named = {"PROJECT": "mine", "ENTITY": "team", "RUN_GROUP": "ours", "JOB_TYPE": "night", "NAME": "one"}
    for name, value in {"DIR": str(elsewhere), "TAGS": "night, gpu", "MODE": "offline", **named}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    copy = mirror(tmp_path / "runs", [])
    copy.start(job())
    copy.close("a1", None, 0)
    assert copy.shutdown(30)
    (run,) = runs(elsewhere)
    assert [run[key] for key in ("project", "entity", "group", "job_type", "name")] == list(named.values())
    assert run["tags"][-2:] == ["night", "gpu"]


def test_a_sweeps_file_says_where_curves_go(tmp_path: Path) -> None:
    copy = mirror(tmp_path, [])
    for key, places in {"a1": {}, "b2": {"project": "ours"}, "c3": {"project": "ours", "entity": "team"}}.items():
        copy.start(dataclasses.replace(job(key), **places))
        copy.close(key, None, 0)
    assert copy.shutdown(30)
    assert sorted((run["id"], run["project"], run["entity"]) for run in runs(tmp_path)) == [
        ("a1", "nftlab", ""),
        ("b2", "ours", ""),
        ("c3", "ours", "team"),
    ]


def test_a_project_that_a_server_refuses_sends_no_other_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refusing(job: TrackedJob, folder: Path, mode: str) -> Any:
        asked.append((job.key, mode))
        if job.project == "theirs" and mode == "online":
            raise wandb.errors.CommError("permission denied")
        return init(job, folder, "offline")

    init = track._init
    monkeypatch.setattr(track, "_init", refusing)
    monkeypatch.setattr(track.WandbTracker, "unreachable", set())
    monkeypatch.setenv("WANDB_API_KEY", "k")
    for key, project in (("a1", "theirs"), ("b2", "theirs"), ("c3", "ours")):
        open_tracker("wandb", tmp_path, dataclasses.replace(job(key), project=project), lambda line: None).close(None, 0)
    close_trackers("wandb")
    assert asked == [("a1", "online"), ("a1", "offline"), ("b2", "offline"), ("c3", "online")]


@pytest.mark.parametrize(("written", "meant"), [("online", "online"), ("run", "online"), ("offline", "offline"), ("dryrun", "offline")])
def test_every_mode_that_works_and_its_earlier_name(written: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def init(**told: Any) -> None:
        asked.append(told["mode"])
        raise ValueError("enough")

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setenv("WANDB_MODE", written)
    with pytest.raises(ValueError, match="enough"):
        open_tracker("wandb", tmp_path, job(), lambda line: None)
    assert asked == [meant]


@pytest.mark.parametrize("written", ["foo", "shared", "Offline"])
def test_any_other_mode_is_refused(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", written)
    with pytest.raises(UsageError, match=f"WANDB_MODE '{written}' is not one of online, offline, disabled"):
        check_tracker("wandb")
    check_tracker("none")


def test_without_a_server_no_second_project_costs_a_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(job: TrackedJob, folder: Path, mode: str) -> Any:
        if mode == "online":
            raise wandb.errors.CommError("no answer")
        return init(job, folder, mode)

    init = track._init
    monkeypatch.setattr(track, "_init", down)
    monkeypatch.setattr(track.WandbTracker, "unreachable", set())
    monkeypatch.setenv("WANDB_API_KEY", "k")
    said: list[str] = []
    copy = mirror(tmp_path, said)
    for key, project in (("a1", "one"), ("b2", "other")):
        copy.start(dataclasses.replace(job(key), project=project))
        copy.log(key, 1, {"val/error": 9.0})
    for key in ("a1", "b2"):
        copy.close(key, {}, 0)
    assert copy.shutdown(30)
    assert sorted((run["project"], len(run["rows"])) for run in runs(tmp_path)) == [("one", 1), ("other", 1)]
    assert not [line for line in said if "tracking stopped" in line]


def test_a_curve_that_goes_elsewhere_begins_there_with_its_first_epoch(tmp_path: Path) -> None:
    for project, recorded in (("one", 0), ("other", 2), ("other", 3)):
        copy = mirror(tmp_path, [])
        copy.start(dataclasses.replace(job(recorded=recorded), project=project))
        for epoch in range(recorded + 1, max(recorded, 1) + 2):
            copy.log("a1", epoch, {"val/error": 10.0 - epoch})
        copy.close("a1", None, 75)
        assert copy.shutdown(30)
    assert [(run["project"], run["epochs"]) for run in runs(tmp_path)] == [("one", [1, 2]), ("other", [1, 2, 3]), ("other", [4])]


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    said: list[str] = []
    copy = mirror(tmp_path / "runs", said)
    copy.start(job())
    copy.log("a1", 1, {"val/error": 1.0})
    copy.close("a1", {}, 0)
    assert copy.shutdown(30)
    assert not (tmp_path / "runs").exists()
    assert said == []


def test_a_key_makes_it_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_key()
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine wandb.example.org login user password secret\n")
    netrc.chmod(0o600)
    assert not has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert has_key()
    netrc.unlink()
    assert not has_key()
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert has_key()


_DEAF = """
import sys, time
from functools import partial
from pathlib import Path
from nftlab.track import Mirror, TrackedJob, open_tracker
copy = Mirror(partial(open_tracker, "wandb", Path(sys.argv[1])), print)
start = time.monotonic()
copy.start(TrackedJob("a1", "small", "f00dfeed", 0, {"algorithm": "ct"}))
for epoch in range(1, 100):
    copy.log("a1", epoch, {"val/error": 1.0})
copy.close("a1", {}, 0)
print(time.monotonic() - start < 0.5, copy.shutdown(0.5), time.monotonic() - start < 3, flush=True)
"""


def test_a_server_that_never_answers_delays_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = {"WANDB_BASE_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}", "WANDB_API_KEY": "0" * 40}
        command = [sys.executable, "-c", _DEAF, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **server}, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "True False True\n"
            process.kill()  # W&B's own exit hook waits for half a minute


def test_an_error_is_said_once_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    said: list[str] = []
    copy = mirror(tmp_path / "runs", said)
    for key in ("a1", "b2"):
        copy.start(job(key))
        copy.log(key, 1, {"val/error": 1.0})
        copy.close(key, {}, 0)
    assert copy.shutdown(30)
    assert [line for line in said if "tracking stopped" in line] == said[-1:]
    assert "job table" in said[-1]


def test_a_full_disk_under_its_log_is_not_our_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = open_tracker("wandb", tmp_path, job(), print)
    log = logging.getLogger("wandb")
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        handler = logging.StreamHandler(full)
        log.addHandler(handler)
        log.error("no room for this")
        log.removeHandler(handler)
    tracker.close({}, 0)
    assert "Logging error" not in capfd.readouterr().err
