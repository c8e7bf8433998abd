"""What an attempt records about where and with what it ran, so that a number can be explained years later."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import nftlab
from nftlab.code import changes, named
from nftlab.harmless import without_secrets
from nftlab.store import keep, launched, storable
from nftlab.worker.messages import Ready


def here(code: dict[str, Any], ready: Ready) -> dict[str, Any]:
    """The circumstances of this process: `code` (commit, changes, snapshots), versions, device, threads, host, command line, Slurm task."""
    return {
        **code,
        **_slurm(os.environ),
        "nftlab": nftlab.__version__,
        "python": platform.python_version(),
        "torch": ready.torch,
        "device": ready.device,
        "device_name": ready.device_name,
        "threads": ready.threads,
        "host": socket.gethostname(),
        "argv": [storable(without_secrets(word)) for word in sys.argv],
    }


def _slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """The Slurm task this is, as `squeue` names it; nothing outside Slurm."""
    array, index = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    task = f"{array}_{index}" if array and index else environment.get("SLURM_JOB_ID")
    return {"slurm": task} if task else {}


def snapshots(engine: Engine) -> dict[str, str | None]:
    """Keeps what the code and its surroundings are; `diff` and `packages` name them, `diff` is None for committed code."""
    changed = changes()
    return {"diff": changed and keep(engine, "diff", changed), "packages": keep(engine, "packages", packages())}


def other_code(engine: Engine, sweeps: Collection[str], code: Mapping[str, Any], *, known: bool = False) -> Iterator[str]:
    """Of each of these sweeps that was launched from other code than this: what differs, in a line. `known`: of code in a commit only."""
    for sweep in launched(engine) if sweeps else []:
        if known and not sweep["code"].get("git_sha"):
            continue
        if sweep["name"] in sweeps and any(sweep["code"].get(part) != code.get(part) for part in ("git_sha", "dirty")):
            yield f"sweep {sweep['name']} was launched from code {named(sweep['code'])}, this worker runs {named(code)}"


def packages() -> str:
    """The installed packages, a line `name==version` each, sorted."""
    found = {f"{installed.name}=={installed.version}" for installed in distributions()}
    return "".join(f"{line}\n" for line in sorted(found, key=str.lower))


def processor() -> str:
    """The processor's name, as Linux or the platform knows it."""
    try:
        named = re.search(r"^model name\s*:\s*(\S.*?)\s*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def where(ready: Ready) -> str:
    """The device as speeds are remembered for it: a GPU's name, or a processor's with the number of threads."""
    threads = f", {ready.threads} thread{'s' if ready.threads > 1 else ''}"
    return ready.device_name + ("" if ready.device.startswith("cuda") else threads)
