"""Submission as far as it goes without Slurm: an `sbatch` that keeps what it is given, and the task it would have run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from nftlab.cluster import Request, launch, local_only
from nftlab.cluster.node import work
from nftlab.errors import ClusterError, ConfigError
from tests.cluster.conftest import PASSWORD, ROOT

URL = f"postgresql+psycopg://me:{PASSWORD}@labserver/lab"


@pytest.fixture
def postgres() -> Engine:
    """Never connected to."""
    return create_engine(URL)


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of the PATH whose sbatch accepts everything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    program(folder, "srun", "exit 0")
    told = f"printenv NFTLAB_DB >{tmp_path}/url; echo $(umask) $NFTLAB_UMASK >{tmp_path}/umask"
    program(folder, "sbatch", f'cp "$1" {tmp_path}/script; {told}; echo Submitted batch job 7')
    return folder


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_url_travels_in_the_environment_alone(postgres: Engine, bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_DB", "sqlite:///other")
    placed = launch(postgres, Request(3), tmp_path / "slurm")
    assert (placed.id, placed.workers) == ("7", 3)
    assert os.environ["NFTLAB_DB"] == "sqlite:///other"
    assert (tmp_path / "url").read_text().strip() == URL
    script = (tmp_path / "script").read_text()
    assert "#SBATCH --array=0-2%3\n" in script
    assert "#SBATCH --signal=USR1@90\n" in script
    kept = [script.encode(), *(path.read_bytes() for path in placed.logs.iterdir())]
    assert len(list(placed.logs.glob("*.pkl"))) == 3
    assert not any(PASSWORD.encode() in text for text in kept)


def test_what_tasks_run_cannot_be_written_by_a_group(postgres: Engine, bin: Path, tmp_path: Path) -> None:
    logs = tmp_path / "slurm"
    logs.mkdir()
    logs.chmod(0o2775)
    before = os.umask(0o002)
    try:
        launch(postgres, Request(2), logs)
        assert os.umask(0o002) == 0o002
        assert (tmp_path / "umask").read_text() == "0022 2\n", "of what is submitted, and of what workers are to write"
    finally:
        os.umask(before)
    assert not [path for path in (logs, *logs.iterdir()) if path.stat().st_mode & 0o022]


def test_a_worker_writes_files_as_whoever_submitted_it_does() -> None:
    """The process that becomes a worker says which umask it has."""
    program = (
        "import os, nftlab.cluster.node as node; os.execv = lambda *a: print(oct(os.umask(0)), os.environ.get(node.UMASK)); node.work([])"
    )
    around = os.environ | {"NFTLAB_DB": URL, "NFTLAB_UMASK": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=around, capture_output=True, text=True, check=True)
    assert done.stdout == "0o2 None\n"


def test_a_folder_that_cannot_be_made_is_told(postgres: Engine, bin: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(ConfigError, match="NFTLAB_RUNS"):
        launch(postgres, Request(2), tmp_path / "runs" / "slurm")


def test_somebody_elses_folder_is_refused(postgres: Engine, bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="somebody else"):
        launch(postgres, Request(2), tmp_path)


@pytest.mark.parametrize(
    ("code", "environment", "requeued"),
    [
        (75, {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, "requeue 7_2\n"),
        (75, {}, "requeue 9\n"),
        (0, {}, ""),
        (69, {}, ""),
    ],
)
def test_what_the_time_limit_stopped_goes_back_into_the_queue(
    code: int, environment: dict[str, str], requeued: str, postgres: Engine, bin: Path, tmp_path: Path
) -> None:
    launch(postgres, Request(requeue=True), tmp_path / "slurm")
    program(bin, "srun", f"exit {code}")
    program(bin, "scontrol", f'echo "$@" >>{tmp_path}/told')
    done = subprocess.run(["bash", tmp_path / "script"], env=os.environ | {"SLURM_JOB_ID": "9"} | environment)
    assert done.returncode == code
    told = tmp_path / "told"
    assert (told.read_text() if told.exists() else "") == requeued


def test_what_was_cancelled_does_not(postgres: Engine, bin: Path, tmp_path: Path) -> None:
    launch(postgres, Request(requeue=True), tmp_path / "slurm")
    program(bin, "srun", "kill -TERM $PPID; exit 75")
    program(bin, "scontrol", f"touch {tmp_path}/told")
    done = subprocess.run(["bash", tmp_path / "script"], env=os.environ | {"SLURM_JOB_ID": "9"})
    assert (done.returncode, (tmp_path / "told").exists()) == (75, False)


def test_the_task_becomes_the_worker(postgres: Engine, bin: Path, tmp_path: Path) -> None:
    launch(postgres, Request(options=("--max-jobs", "nonsense")), tmp_path / "slurm")
    slurm = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "7", "NFTLAB_DB": URL, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "submitit.core._submit", tmp_path / "slurm"]
    done = subprocess.run(command, env=os.environ | slurm, capture_output=True, text=True)
    assert (done.returncode, "nftlab worker" in done.stderr) == (2, True), done.stderr  # the worker's own complaint and exit code


def test_a_sqlite_file_is_refused(bin: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nftlab db serve"):
        launch(create_engine(f"sqlite:///{tmp_path}/lab.sqlite"), Request(), tmp_path / "slurm")
    assert not (tmp_path / "script").exists()


def test_slurm_says_no(postgres: Engine, bin: Path, tmp_path: Path) -> None:
    program(bin, "sbatch", "echo sbatch: error: invalid partition specified: gpu >&2; exit 1")
    with pytest.raises(ClusterError, match=r"Slurm refused: .*invalid partition specified: gpu"):
        launch(postgres, Request(2), tmp_path / "slurm")


def test_without_slurm_or_submitit(postgres: Engine, tmp_path: Path, bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'nftlab\[slurm\]'"):
        launch(postgres, Request(), tmp_path / "slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="sbatch is not on the PATH"):
        launch(postgres, Request(), tmp_path / "slurm")


def test_a_node_without_the_url_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NFTLAB_DB", raising=False)
    with pytest.raises(ConfigError, match="NFTLAB_DB did not reach this node"):
        work([])


@pytest.mark.parametrize(
    ("url", "local"),
    [
        (URL, False),
        ("postgresql+psycopg://me@localhost/lab", True),
        ("postgresql+psycopg:///lab?host=/var/run/postgresql", True),
        ("postgresql+psycopg:///lab", True),
    ],
)
def test_addresses_that_mean_another_machine_elsewhere(url: str, local: bool) -> None:
    assert local_only(create_engine(url)) is local
