"""Slurm's own commands, and what they complain about."""

from __future__ import annotations

import os
import subprocess

from nftlab.errors import ClusterError

_PATIENCE = 60.0  # seconds that a controller gets to answer


def ask(command: str, *words: str) -> str:
    """What a Slurm command prints; raises ClusterError where there is no Slurm or it does not answer."""
    try:
        done = subprocess.run([command, *words], capture_output=True, text=True, timeout=_PATIENCE)
    except FileNotFoundError:
        raise ClusterError(f"no Slurm here: {command} is not on the PATH", "log in to a node that has it") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{command} did not answer in {_PATIENCE:.0f} s", "try again: Slurm's controller may be restarting") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ClusterError(f"{said[-1]}", "see `sinfo`; Slurm's controller may be down")
    return done.stdout


def me() -> str:
    """The user whose tasks are ours, as Slurm's commands take it."""
    return f"--user={os.getuid()}"
