"""What is missing on this machine and how to mend it: one `Check` per thing nftlab stands on.

Every check ends in a `Check`, never in an exception. torch is asked in a process of its own: a broken CUDA may abort it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from nftlab.errors import NftlabError

PYTHON = (3, 11)
TORCH = (2, 11)
FREE_GB = 2.0  # below this a sweep's checkpoints may not fit
_PATIENCE = 120  # seconds: a first import of torch from a slow disk takes long
KILL_WAIT = 30  # seconds from SIGTERM to SIGKILL in which a worker finishes its epoch and hands its jobs back
_ELSEWHERE = "choose another place with --db or NFTLAB_DB"
GAIN = 1.2  # times as fast as in fp32 at least, or bf16 is not worth its rounding
_ASK_TORCH = """
import json, time, torch
cuda = torch.cuda.is_available()

def seconds(a):
    start = time.perf_counter()
    a @ a
    return time.perf_counter() - start

def gain():
    single = torch.randn(512, 512)
    half = single.bfloat16()
    times = [(seconds(single), seconds(half)) for _ in range(8)]  # side by side; the first ones warm up
    return min(single for single, _ in times) / min(half for _, half in times)

print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
    "bf16": None if cuda else gain(),
}))
"""


@dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, how it is, what was found, and how to mend it."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""


def examine(db: str | None, runs: Path) -> Iterator[Check]:
    """All checks, one by one as they are done. `db`: URL of the job table, None: the default; `runs`: folder of the runs."""
    checks: dict[str, Callable[[], Check | list[Check]]] = {
        "python": python,
        "torch": torch,
        "database": lambda: database(db),
        "runs": lambda: room(runs),
        "data": datasets,
        "wandb": wandb,
        "git": git,
        "slurm": slurm,
    }
    for name, check in checks.items():
        try:
            found = check()
        except Exception as error:  # a check that breaks is a finding
            found = Check(name, "fail", f"{type(error).__name__}: {error}")
        yield from found if isinstance(found, list) else [found]


def python() -> Check:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON:
        return Check("python", "fail", version, "install Python 3.11 or newer")
    return Check("python", "ok", f"{version} ({sys.executable})")


def torch() -> list[Check]:
    """torch's version, the GPUs it sees, and without any whether this processor gains by bf16: not all that know it do."""
    try:
        answer = subprocess.run([sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return [Check("torch", "fail", f"import takes more than {_PATIENCE} s", "install on a local disk")]
    if answer.returncode:
        why = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        return [Check("torch", "fail", why, "pip install 'torch>=2.11'")]
    told: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    version = told["version"]
    if tuple(int(part) for part in version.split("+")[0].split(".")[:2]) < TORCH:
        return [Check("torch", "fail", version, "pip install 'torch>=2.11'")]
    return [Check("torch", "ok", version), _gpu(told["gpus"], told["cuda"]), *_bf16(told["bf16"])]


def _gpu(gpus: list[str], cuda: str | None) -> Check:
    if gpus:
        return Check("gpu", "ok", ", ".join(gpus))
    if shutil.which("nvidia-smi") is None:
        return Check("gpu", "ok", "none: trains on the CPU")
    if cuda is None:
        return Check(
            "gpu", "warn", "this machine has a GPU, but this torch is built without CUDA", "install torch with CUDA from pytorch.org"
        )
    return Check(
        "gpu", "warn", f"this machine has a GPU, but torch (CUDA {cuda}) does not see it", "compare with nvidia-smi: update the driver"
    )


def _bf16(gain: float | None) -> list[Check]:
    if gain is None:
        return []
    use = "`precision: bf16` trains large networks faster" if gain >= GAIN else "`precision: bf16` saves no time"
    return [Check("bf16", "ok", f"products at {gain:.1f} × the speed of fp32: {use} on this processor")]


def database(url: str | None) -> Check:
    """Whether the job table can be reached, has our schema, and (SQLite) lies where it can be written."""
    from nftlab import store
    from nftlab.store.url import parse

    try:
        engine = store.open_db(url, create=False)
    except NftlabError as error:
        return Check("database", "fail", str(error))
    if engine is not None:
        engine.dispose()
    parsed, where = parse(url), store.shown(url)
    if parsed.get_backend_name() == "sqlite" and (why := unwritable(Path(parsed.database or "."))):
        return Check("database", "fail", f"{where}: {why}", _ELSEWHERE)
    return Check("database", "ok", where if engine is not None else f"{where}: not there yet, the first launch makes it")


def room(runs: Path) -> Check:
    """Whether the folder of the runs (or the nearest one above it that exists) can be written, and how much is free."""
    if why := unwritable(runs):
        return Check("runs", "fail", f"{runs}: {why}", "choose another folder with --runs or NFTLAB_RUNS")
    free = shutil.disk_usage(_existing(runs)).free / 1e9
    if free < FREE_GB:
        return Check("runs", "warn", f"{runs}: {free:.1f} GB free", "free some space: every job keeps three checkpoints")
    return Check("runs", "ok", f"{runs}: {free:.0f} GB free")


def datasets() -> Check:
    """Which data sets are here."""
    from nftlab.data import DATASETS

    status = {name: dataset.status() for name, dataset in DATASETS.items()}
    here = ", ".join(name for name in status if status[name] != "missing")
    missing = ", ".join(name for name in status if status[name] == "missing")
    return Check("data", "ok", f"here: {here}" + (f"; not here: {missing} (nftlab data list)" if missing else ""))


def wandb() -> Check:
    """Whether curves can be mirrored to W&B, and whether they will go online."""
    if find_spec("wandb") is None:
        return Check("wandb", "fail", "not installed", "pip install wandb")
    from nftlab.track.wandb import asked_mode, has_key

    try:
        asked_mode()
    except NftlabError as error:
        return Check("wandb", "fail", str(error))
    if written := os.environ.get("WANDB_MODE"):
        return Check("wandb", "ok", f"WANDB_MODE={written}")
    return Check(
        "wandb", "ok", "online: an API key is configured" if has_key() else "offline: no API key (wandb login sends curves online)"
    )


def git() -> Check:
    """Whether runs can be tied to a commit."""
    if shutil.which("git") is None:
        return Check("git", "warn", "not installed: runs are recorded without a commit", "install git")
    return Check("git", "ok", subprocess.run(["git", "--version"], capture_output=True, text=True).stdout.strip())


def slurm() -> Check:
    """Whether workers can be placed on Slurm, and whether it leaves them time to hand their jobs back."""
    if shutil.which("sbatch") is None:
        return Check("slurm", "ok", "not here: start workers by hand")
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=_PATIENCE)
    if answer.returncode:
        return Check("slurm", "warn", "its controller does not answer", "sinfo says more")
    told = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in answer.stdout.splitlines())}
    found = f"{told.get('SLURM_VERSION')}, KillWait {told.get('KillWait')}, PreemptMode {told.get('PreemptMode')}"
    if int((told.get("KillWait") or "0").split()[0]) < KILL_WAIT:
        return Check("slurm", "warn", found, f"ask for KillWait={KILL_WAIT} or more: preempted workers may be killed in an epoch")
    if find_spec("submitit") is None:
        return Check("slurm", "warn", found, "pip install 'nftlab[slurm]'")
    return Check("slurm", "ok", found)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def unwritable(path: Path) -> str | None:
    """Why nothing can be written there, or None; asks by writing, since permissions do not tell of full or read-only disks."""
    place = _existing(path)
    try:
        if place == path and place.is_file():
            with place.open("r+b"):
                return None
        with tempfile.NamedTemporaryFile(dir=place):
            return None
    except OSError as error:
        return error.strerror or str(error)
