"""Where a job's checkpoints lie: one folder per attempt, so that a worker that lost its lease cannot touch its successor's files.

`<runs>/checkpoints/<job key>/<token>/epoch-NNNNNN.safetensors`, and `<job key>/best.safetensors` once the job is done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from nftlab.store import Claim


def attempt_folder(runs: Path, claim: Claim) -> Path:
    """The folder that only this attempt writes to."""
    return runs / "checkpoints" / claim.job_key / str(claim.token)


def clear_attempt(runs: Path, claim: Claim) -> None:
    """Removes what a job table that is no more may have left under the same token."""
    shutil.rmtree(attempt_folder(runs, claim), ignore_errors=True)


def kept_at(runs: Path, noted: str) -> Path:
    """Where a checkpoint is that the table notes under another path if the runs folder was copied or is mounted elsewhere by now."""
    path = Path(noted)
    return path if os.path.exists(path) else runs.joinpath("checkpoints", *path.parts[-3:])


def forget_earlier(runs: Path, claim: Claim) -> None:
    """Removes the folders of earlier attempts, once the table knows newer checkpoints; what cannot be removed stays."""
    mine = attempt_folder(runs, claim)
    for folder in mine.parent.iterdir() if mine.parent.is_dir() else ():
        if folder.name.isdecimal() and int(folder.name) < claim.token:
            shutil.rmtree(folder, ignore_errors=True)


def settle(runs: Path, claim: Claim) -> None:
    """After the accepted finish: its best weights become the job's, the folders of earlier attempts go."""
    mine = attempt_folder(runs, claim)
    with contextlib.suppress(OSError):  # none was selected, or another machine trained it
        os.replace(mine / "best.safetensors", mine.parent / "best.safetensors")
    forget_earlier(runs, claim)
