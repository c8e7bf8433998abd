"""The job table: opened by `open_db`, filled by `launch`, worked off through `Queue`, read through `jobs`, `curve`, `story`, `status`;
what training costs is kept by `remember` and told by `cost_left`, `cost_of`.
"""

from nftlab.store.engine import default_url, open_db, shown, upgrade
from nftlab.store.forecast import Forecast, cost_left, cost_of
from nftlab.store.proposals import to_propose
from nftlab.store.queue import Queue
from nftlab.store.records import Claim, EpochRow, Outcome, Worker
from nftlab.store.runs import JobRow, curve, jobs, status, story
from nftlab.store.speeds import known, remember
from nftlab.store.sweeps import LaunchResult, complete, launch, launched, verify
from nftlab.store.tables import SCHEMA, STATES

__all__ = [
    "SCHEMA",
    "STATES",
    "Claim",
    "EpochRow",
    "Forecast",
    "JobRow",
    "LaunchResult",
    "Outcome",
    "Queue",
    "Worker",
    "complete",
    "cost_left",
    "cost_of",
    "curve",
    "default_url",
    "jobs",
    "known",
    "launch",
    "launched",
    "open_db",
    "remember",
    "shown",
    "status",
    "story",
    "to_propose",
    "upgrade",
    "verify",
]
