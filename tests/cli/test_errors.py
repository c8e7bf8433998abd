"""What goes wrong is told in lines on stderr with an exit code; what is a bug keeps its traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nftlab import store
from nftlab.errors import NftlabError
from tests.cli.helpers import Invoke

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense://", 2),
        ("nonsense", 0),  # a file that is not there: zeros
        ("sqlite://", 2),
        ("mysql://me:secret@host/lab", 2),
        ("postgresql://me:secret@127.0.0.1:1/lab", 69),
        ("://", 2),
        ("sqlite:///small.yaml", 69),
    ],
)
def test_databases_that_cannot_be_used(url: str, code: int, invoke: Invoke) -> None:
    result = invoke("status", "--db", url)
    assert result.exit_code == code
    assert "secret" not in result.output
    assert "Traceback" not in result.output
    if code:
        assert all(line.startswith("nftlab: ") for line in result.stderr.splitlines())


def test_another_schema_names_the_command_that_mends_it(launched: Invoke, folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "db" / "nftlab.sqlite") as connection:
        connection.execute("UPDATE nftlab_version SET version_num = '0000'")
    result = launched("status")
    assert result.exit_code == 78
    assert "nftlab db upgrade" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nosuch"], 2),
        (["status", "--nosuch"], 2),
        (["worker", "--max-jobs", "many"], 2),
        (["worker", "--max-jobs", "0"], 2),
        (["worker", "--drain", "--drain-now"], 2),
        (["worker", "--pack", "none"], 2),
        (["worker", "--device", "abacus"], 2),
        (["worker", "--device", "cpu,abacus"], 2),
        (["worker", "--device", "cpu,cpu", "--max-jobs", "1"], 2),
        (["worker", "--lease", "-1"], 2),
        (["sweep", "launch"], 2),
        (["sweep", "launch", ""], 66),
        (["sweep", "launch", "nosuch.yaml"], 66),
        (["sweep", "launch", "/dev/null"], 78),
        (["sweep", "verify", "small"], 66),
        (["data", "get", "mnsit"], 2),
        (["job", "show"], 2),
    ],
)
def test_exit_codes(arguments: list[str], code: int, invoke: Invoke, folder: Path) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "db").exists()


def test_a_name_cannot_drive_the_terminal(invoke: Invoke) -> None:
    result = invoke("sweep", "verify", "\x1b[2J\x07")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output


def test_a_bug_keeps_its_traceback_and_shows_no_locals(run: Run, folder: Path) -> None:
    script = "import nftlab.store, nftlab.cli\ndef broken(*a, **k):\n    key = 'se' + 'cret'\n    raise RuntimeError('bug')\n"
    script += "nftlab.store.open_db = broken\nnftlab.cli.main()"
    done = subprocess.run([sys.executable, "-c", script, "status"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: bug"
    assert "Traceback" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["job", "list"]])
def test_a_reader_that_goes_away_is_no_drama(arguments: list[str], folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "nftlab", *arguments], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert not {"Traceback", "Exception", "Broken"} & set(done.stderr.split())
    assert done.returncode != 0


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["job", "list", "--json"]])
def test_a_full_disk_under_stdout_is_told_in_a_line(arguments: list[str], folder: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "nftlab", *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 69
    assert "nftlab: cannot write to standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_130(folder: Path) -> None:
    script = "import nftlab.store, nftlab.cli, signal, os\n"
    script += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs are born deaf to it
    script += "nftlab.store.open_db = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\nnftlab.cli.main()"
    done = subprocess.run([sys.executable, "-c", script, "status"], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == ""


def test_without_home_user_or_locale(run: Run, folder: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (["--help"], ["sweep", "launch", "small.yaml"], ["status"], ["job", "list"], ["data", "--help"]):
        done = run(*arguments, env=bare)
        assert done.returncode == 0, done.stderr


@pytest.mark.ci
def test_output_in_a_pipe_has_no_colours_even_where_a_terminal_would(run: Run, folder: Path) -> None:
    run("sweep", "launch", "small.yaml")
    for arguments in (["job", "list"], ["status"], ["sweep", "launch", "small.yaml"]):
        done = run(*arguments, env={**os.environ, "TERM": "xterm-256color"})
        assert "\x1b" not in done.stdout + done.stderr


def test_a_folder_that_cannot_be_written(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")  # not even by root
    assert invoke("status").exit_code == 0
    for arguments in (["sweep", "launch", "nft/quick"], ["demo"], ["db", "upgrade"]):
        result = invoke(*arguments)
        assert result.exit_code == 69
        assert "/proc" in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", sorted(NftlabError.__subclasses__(), key=lambda kind: kind.__name__))
def test_every_error_of_the_library_has_its_exit_code(kind: type[NftlabError], invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise kind("what", "mend it so")

    monkeypatch.setattr(store, "open_db", fail)
    result = invoke("status")
    assert result.exit_code == kind.exit_code
    assert result.stderr == "nftlab: what; mend it so\n"
