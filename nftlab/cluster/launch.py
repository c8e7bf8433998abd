"""Placing an array of workers on Slurm."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from nftlab.cluster.node import UMASK, work
from nftlab.cluster.request import Request
from nftlab.errors import ClusterError, ConfigError

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LOCAL = {"", "localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Array:
    """What was placed: Slurm's job id, how many workers, and the folder of their logs."""

    id: str
    workers: int
    logs: Path


def launch(engine: Engine, request: Request, logs: Path) -> Array:
    """Submits the workers; they find the job table of `engine` by NFTLAB_DB in their environment, since command lines are public.

    Raises ConfigError for a SQLite file, somebody else's `logs` or without submitit, ClusterError where Slurm is missing or refuses.
    """
    refuse_file(str(engine.url))
    if shutil.which("sbatch") is None:
        raise ClusterError(
            "no Slurm here: sbatch is not on the PATH", "log in to a node that submits jobs, or start `nftlab worker` by hand"
        )
    try:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError
    except ImportError:
        raise ConfigError("Slurm needs submitit", "pip install 'nftlab[slurm]'") from None
    logs = logs.absolute()
    _secure(logs)
    executor = SlurmExecutor(logs)
    executor.update_parameters(**request.parameters())
    with _submitting(engine):
        try:
            placed = executor.map_array(work, [request.worker()] * request.workers)
        except FailedJobError as refused:
            raise ClusterError(f"Slurm refused: {_reason(str(refused))}", "see `sinfo`, and `nftlab cluster launch --help`") from None
    return Array(placed[0].job_id.partition("_")[0], request.workers, logs)


def refuse_file(url: str) -> None:
    """Raises ConfigError for a SQLite file, named by URL or path."""
    if not url.startswith("postgres"):
        raise ConfigError(
            f"{url} is a SQLite file, which workers on other nodes cannot share",
            "start a Postgres with `nftlab db serve`, or name one with --db or NFTLAB_DB",
        )


def local_only(engine: Engine) -> bool:
    """Whether the database's address means another machine on every node."""
    host = engine.url.host or str(engine.url.query.get("host", ""))
    return host in _LOCAL or host.startswith("/")


def _secure(folder: Path) -> None:
    """Makes the folder one that nobody else can write to: tasks run what lies there. Raises ConfigError when it is somebody else's."""
    hint = "set NFTLAB_RUNS to a folder of yours"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.geteuid():
            raise ConfigError(f"{folder} belongs to somebody else, and tasks run what lies there", hint)
        folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}", hint) from error


@contextmanager
def _submitting(engine: Engine) -> Iterator[None]:
    """The environment that tasks inherit, and a umask by which nobody else can write to what they run; what it was they are told."""
    umask = os.umask(0o777)
    os.umask(umask | _OTHERS)
    told = {"NFTLAB_DB": engine.url.render_as_string(hide_password=False), UMASK: f"{umask:o}"}
    before = {name: os.environ.pop(name, None) for name in told}
    os.environ |= told
    try:
        yield
    finally:
        os.umask(umask)
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _reason(said: str) -> str:
    """The last line of what sbatch said, without its prefix."""
    lines = said.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("sbatch: error: ")
