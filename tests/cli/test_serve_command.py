"""`nftlab db serve`: a real server for a real sweep."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy.engine import make_url

from nftlab.errors import DatabaseError, OutageError
from nftlab.store import Queue, open_db
from tests.cli.helpers import JOBS, Invoke, finish_all, read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the server may enter with other rights than root's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "a lab's pg"


@pytest.fixture
def port() -> int:
    with socket.create_server(("localhost", 0)) as listening:
        number: int = listening.getsockname()[1]
        return number


@contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """The URL of a server in a process of its own, stopped by SIGTERM."""
    command = [sys.executable, "-m", "nftlab", "db", "serve", "--dir", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            pytest.fail(server.communicate(timeout=60)[1])
        yield url
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=60)
        assert (server.returncode, out) == (0, ""), err
        secret = (folder / "passfile").read_text().strip().rpartition(":")[2]
        assert len(secret) > 20
        assert secret not in url + err
        assert str(folder / "passfile") in err
    finally:
        server.kill()
        server.communicate()


def test_a_sweep_on_a_served_database_and_a_second_start_that_finds_it(invoke: Invoke, place: Path, port: int) -> None:
    with served(place, port) as url:
        assert url == f"postgresql://nftlab@localhost:{port}/nftlab?passfile={quote(str(place / 'passfile'))}"
        assert read(invoke("sweep", "launch", "small.yaml", "--json", "--db", url))["jobs_added"] == JOBS
        engine = open_db(url, create=False)
        assert engine is not None
        finish_all(Queue(engine))
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW max_connections").scalar() == "500"
        engine.dispose()
        refused(url, place)
        harmless(url)
    with served(place, port) as url:
        assert read(invoke("status", "--json", "--db", url))["jobs"]["done"] == JOBS
        assert invoke("sweep", "verify", "small", "--db", url).exit_code == 0
    assert (place / "passfile").stat().st_mode & 0o777 == 0o600
    secret = (place / "passfile").read_text().strip().rpartition(":")[2]
    assert secret not in (place / "log").read_text()


def refused(url: str, place: Path) -> None:
    """Without the password nobody is let in, and no waiting would help."""
    other = place / "other"
    other.write_text("*:*:*:nftlab:guessed\n")
    other.chmod(0o600)
    for path in (other, place / "nothing"):
        with pytest.raises(DatabaseError, match="password") as caught:
            open_db(make_url(url).update_query_dict({"passfile": str(path)}).render_as_string(), create=False)
        assert not isinstance(caught.value, OutageError)


def harmless(url: str) -> None:
    """Whoever has the passfile owns the job table, may make another, and no more: no program runs with the server's rights."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
        connection.execute("CREATE TABLE IF NOT EXISTS said (line text)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY said FROM PROGRAM 'id'")
        connection.execute("DROP TABLE said")


@pytest.mark.ci
def test_the_server_hears_no_secret_of_our_environment_and_follows_no_link(
    place: Path, port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_TOKEN", "very secret")
    with served(place, port):
        pass
    precious, rules = tmp_path / "precious", place / "data" / "pg_hba.conf"
    precious.write_text("mine")
    rules.unlink()
    rules.symlink_to(precious)
    with served(place, port):
        server = int((place / "data" / "postmaster.pid").read_text().splitlines()[0])
        assert b"PATH=" in (environment := Path(f"/proc/{server}/environ").read_bytes())
        assert b"very secret" not in environment
    assert (precious.read_text(), rules.is_symlink()) == ("mine", False)


@pytest.mark.ci
def test_data_elsewhere_and_a_first_start_that_was_killed(place: Path, port: int) -> None:
    """The folder of the data may be a link to a disk of its own; what initdb left half done is done again."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        Path(disk).chmod(0o755)
        (Path(disk) / "data").mkdir()
        place.mkdir(parents=True)
        (place / "data").symlink_to(Path(disk) / "data")
        (Path(disk) / "data" / "PG_VERSION").write_text("17\n")
        (Path(disk) / "data" / "base").mkdir()
        (place / ".unfinished").touch()
        with served(place, port) as url:
            assert url
        assert (Path(disk) / "data" / "global" / "pg_control").exists()
        assert not (place / ".unfinished").exists()


@pytest.mark.ci
def test_a_log_that_is_a_link_is_not_written_to(place: Path, invoke: Invoke, tmp_path: Path) -> None:
    place.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (place / "log").symlink_to(precious)
    assert invoke("db", "serve", "--dir", place).exit_code == 69
    assert precious.read_text() == "mine"


@pytest.mark.ci
def test_a_worker_on_a_served_database(invoke: Invoke, place: Path, port: int) -> None:
    with served(place, port) as url:
        assert invoke("sweep", "launch", "small.yaml", "--db", url).exit_code == 0
        assert invoke("worker", "--drain", "--no-wandb", "--device", "cpu", "--db", url).exit_code == 0
        assert invoke("sweep", "verify", "small", "--db", url).exit_code == 0


@pytest.mark.ci
def test_a_port_that_is_taken(place: Path, invoke: Invoke) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = invoke("db", "serve", "--dir", place, "--host", "127.0.0.1", "--port", taken.getsockname()[1])
    assert result.exit_code == 69
    assert "could not create any TCP/IP sockets" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("useradd", [None, "exit 9"])
def test_root_without_a_user_for_the_server(
    useradd: str | None, place: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    if useradd:
        (tmp_path / "bin" / "useradd").write_text(f"#!/bin/sh\n{useradd}\n")
        (tmp_path / "bin" / "useradd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("nftlab.store.serve._SERVANTS", ("nobody-of-this-name",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = invoke("db", "serve", "--dir", place)
    assert result.exit_code == 78
    assert "no user could be made for it; start it as another user" in result.stderr


def test_a_network_disk_is_refused(place: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftlab.store.place.network_filesystem", lambda path, mounts: "nfs4")
    result = invoke("db", "serve", "--dir", place)
    assert result.exit_code == 69
    assert "network file system (nfs4" in result.stderr
    assert "--dir" in result.stderr
    assert not place.exists()
