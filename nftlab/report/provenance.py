"""Where a job's numbers come from, in short: what sets it apart, its code and machine, the lines of its sweep file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nftlab.code import named
from nftlab.spec.document import Problems, read

if TYPE_CHECKING:
    from nftlab.store import JobRow

_SETTING = ("parameters", "nftlab")  # the keys of a sweep file whose entries make its trials


def settings(config: Mapping[str, Any], names: Iterable[str]) -> str:
    """`eta_max=500 n_f=8`: these fields of a configuration, where it has them."""
    return " ".join(f"{name}={config[name]}" for name in names if name in config)


def code(job: JobRow) -> str:
    """The commit that the job's last attempt ran."""
    return named({"git_sha": job.git_sha, "dirty": job.circumstances.get("dirty")})


def around(job: JobRow) -> list[str]:
    """Device, torch and pack size of the job's last attempt, as far as they were noted."""
    known = job.circumstances
    device = known.get("device_name") or known.get("device")
    told = [str(device)] if device else []
    return told + [f"{what} {known[name]}" for name, what in (("torch", "torch"), ("pack_size", "pack of")) if known.get(name) is not None]


def job_dict(job: JobRow) -> dict[str, Any]:
    """A job as plain values."""
    names = ("sweep", "seed", "state", "diverged", "attempts", "epoch", "best_epoch", "val_error", "test_error", "seconds", "git_sha")
    noted = ("dirty", "data", "data_sha", "device", "device_name", "torch", "pack_size")
    circumstances = {name: job.circumstances.get(name) for name in noted}
    return {"job": job.job_key, "trial": job.trial_key, **{name: getattr(job, name) for name in names}, **circumstances}


def sweep_lines(text: str) -> list[tuple[int, str]]:
    """(line number, line) for each parameter and each setting of ours in a sweep file, each line once; empty if it cannot be read."""
    root = read(text, Problems("sweep"))
    entries = (root.entries() if root else None) or {}
    numbers = (
        found.key.line
        for name in _SETTING
        if name in entries
        for found in (entries[name].entries() or {}).values()
        if found.key is not None
    )
    lines = text.splitlines()
    return [(number, lines[number - 1].strip()) for number in dict.fromkeys(numbers)]
