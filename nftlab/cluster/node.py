"""What a Slurm task does on its node."""

from __future__ import annotations

import os
import sys

from nftlab.errors import ConfigError

UMASK = "NFTLAB_UMASK"  # octal: what workers' files are made with, where the submission's own were made with a stricter one


def work(options: list[str]) -> None:
    """Becomes `nftlab worker` with these options.

    submitit's process is replaced, not kept around it: its handlers would take Slurm's signals and guess by the clock what they
    mean, where the worker hands its jobs back at every one of them; and the worker's exit code is the task's.
    """
    if "NFTLAB_DB" not in os.environ:
        raise ConfigError("NFTLAB_DB did not reach this node", "submit without --export=NONE and SBATCH_EXPORT=NONE")
    if cores := os.environ.get("SLURM_CPUS_PER_TASK"):  # not every Slurm binds a task to its cores
        os.environ.setdefault("OMP_NUM_THREADS", cores)
    if umask := os.environ.pop(UMASK, None):
        os.umask(int(umask, 8))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "nftlab", "worker", *options])
