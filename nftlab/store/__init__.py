"""The job table: opened by `open_db`, filled by `launch`, worked off through `Queue`, read through `jobs`, `curve`, `story`, `status`,
`ranked`; what training costs is kept by `remember` and told by `cost_left`, `cost_of`.
"""

from nftlab.store.backup import backup, dump_command
from nftlab.store.check import Finding, check
from nftlab.store.copy import copy
from nftlab.store.engine import open_db, upgrade
from nftlab.store.export import curve_rows, job_rows
from nftlab.store.extension import Extension, dropped, extension
from nftlab.store.forecast import Forecast, Kind, cost_left, cost_of, kinds_of
from nftlab.store.peers import sources
from nftlab.store.proposals import to_propose
from nftlab.store.queue import Queue
from nftlab.store.ranking import Ranked, objective, ranked
from nftlab.store.records import Claim, EpochRow, Outcome, Worker, storable
from nftlab.store.removal import Contents, contents, delete
from nftlab.store.runs import JobRow, Shelved, curve, data_of, jobs, shelved, status, story, trial_keys
from nftlab.store.slurm import done_by_task
from nftlab.store.snapshots import keep, snapshot
from nftlab.store.speeds import known, remember
from nftlab.store.steering import Steered, cancel, pause, resume, set_priority, stop
from nftlab.store.sweeps import LaunchResult, asked_for, check_launched, complete, launch, launched, states, trained, verify
from nftlab.store.tables import ACCEPTED, OPEN, SCHEMA, STATES
from nftlab.store.url import default_url, shown

__all__ = [
    "ACCEPTED",
    "OPEN",
    "SCHEMA",
    "STATES",
    "Claim",
    "Contents",
    "EpochRow",
    "Extension",
    "Finding",
    "Forecast",
    "JobRow",
    "Kind",
    "LaunchResult",
    "Outcome",
    "Queue",
    "Ranked",
    "Shelved",
    "Steered",
    "Worker",
    "asked_for",
    "backup",
    "cancel",
    "check",
    "check_launched",
    "complete",
    "contents",
    "copy",
    "cost_left",
    "cost_of",
    "curve",
    "curve_rows",
    "data_of",
    "default_url",
    "delete",
    "done_by_task",
    "dropped",
    "dump_command",
    "extension",
    "job_rows",
    "jobs",
    "keep",
    "kinds_of",
    "known",
    "launch",
    "launched",
    "objective",
    "open_db",
    "pause",
    "ranked",
    "remember",
    "resume",
    "set_priority",
    "shelved",
    "shown",
    "snapshot",
    "sources",
    "states",
    "status",
    "stop",
    "storable",
    "story",
    "to_propose",
    "trained",
    "trial_keys",
    "upgrade",
    "verify",
]
