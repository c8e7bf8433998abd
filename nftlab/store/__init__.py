"""The job table: opened by `open_db`, filled by `launch`, worked off through `Queue`, read through `jobs`, `curve`, `story`, `status`."""

from nftlab.store.engine import default_url, open_db, shown, upgrade
from nftlab.store.queue import Queue
from nftlab.store.records import Claim, EpochRow, Outcome, Worker
from nftlab.store.runs import JobRow, curve, jobs, status, story
from nftlab.store.sweeps import LaunchResult, complete, launch, launched, verify
from nftlab.store.tables import SCHEMA, STATES

__all__ = [
    "SCHEMA",
    "STATES",
    "Claim",
    "EpochRow",
    "JobRow",
    "LaunchResult",
    "Outcome",
    "Queue",
    "Worker",
    "complete",
    "curve",
    "default_url",
    "jobs",
    "launch",
    "launched",
    "open_db",
    "shown",
    "status",
    "story",
    "upgrade",
    "verify",
]
