"""Weights & Biases: one run per job, whatever the number of attempts, with or without internet."""

from __future__ import annotations

import logging
import netrc
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from nftlab.errors import UsageError, nearest
from nftlab.harmless import without_secrets
from nftlab.track.job import Say, TrackedJob, Tracker
from nftlab.track.none import NoTracker

if TYPE_CHECKING:
    import wandb

HOSTS = ("api.wandb.ai", "forge.coreweave.com")  # where keys of the hosted service are kept in .netrc
MODES = ("online", "offline", "disabled")
_OLDER = {"run": "online", "dryrun": "offline"}  # W&B's earlier names; its `shared` keeps no steps, which epochs are
PROJECT = "nftlab"  # unless WANDB_PROJECT or the sweep's file names another
HANDED_BACK = 75
_TAG = 64  # characters W&B allows
_COMPLETE = "nftlab-epoch"  # in the folder of a run that was closed: its last epoch, its project and entity
_turn = threading.Lock()  # at `sys.argv`

# Quiet, and only what a mirror of the job table needs; those that an older wandb does not know are left out.
_SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "disable_code": True,
    "disable_git": True,  # the sha of the launch is in the config
    "init_timeout": 30.0,
    "finish_timeout": 20.0,  # a slow upload must not keep a worker; what is left can be synced
    "x_disable_meta": True,  # the command line above all, see `_masked_words`; attempts record it and the device themselves
    "x_transaction_log_flush_interval": 2.0,  # what a kill -9 of the worker can cost
}


class WandbTracker:
    """One W&B run: epochs as steps, each logged once whatever happened to earlier attempts.

    `logged` is the last epoch that their files hold; what the job table has beyond it is logged again.
    """

    open = 0  # runs of this process
    unreachable: ClassVar[set[tuple[str, str]]] = set()  # projects and entities that did not answer when last asked: later runs do not wait

    def __init__(self, run: wandb.Run, job: TrackedJob, logged: int) -> None:
        self._run, self._logged, self._place = run, logged, _place(job)
        WandbTracker.open += 1
        run.define_metric("epoch")
        run.define_metric("*", step_metric="epoch")
        for epoch, values in job.history:
            self.log(epoch, values)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """One point of every curve at `epoch`; steps only grow."""
        if epoch > self._logged:
            self._run.log({"epoch": epoch, **values}, step=epoch)
            self._logged = epoch

    def close(self, summary: Mapping[str, Any] | None, exit_code: int) -> None:
        """Ends the run, or marks it as preempted when the job was handed back: the next attempt resumes it."""
        WandbTracker.open -= 1
        if summary is not None:
            self._run.summary.update(dict(summary))
        if exit_code == HANDED_BACK:
            self._run.mark_preempting()
        self._run.finish(exit_code=exit_code)
        (Path(self._run.dir).parent / _COMPLETE).write_text("\n".join([str(self._logged), *self._place]))


def open_wandb(job: TrackedJob, runs: Path, say: Say) -> Tracker:
    """The W&B run of a job, resumed if it exists.

    Its mode is `asked_mode`; offline, which is said, also for the rest of the process once the server does not answer for the job's
    project. Files go to `runs`/wandb unless WANDB_DIR is set.
    """
    asked = asked_mode()
    if asked == "disabled":
        return NoTracker()
    with _masked_words():
        return _open(job, runs, say, asked)


def asked_mode() -> str:
    """One of `MODES`: WANDB_MODE, else online if an API key is configured (WANDB_API_KEY or .netrc), else offline.

    Raises UsageError for another WANDB_MODE.
    """
    if not (written := os.environ.get("WANDB_MODE")):
        return "online" if has_key() else "offline"
    if (found := _OLDER.get(written, written)) not in MODES:
        what = f"WANDB_MODE {written!r} is not one of {', '.join(MODES)}{nearest(written, MODES)}"
        raise UsageError(what, "set it so, unset it, or leave W&B out with --no-wandb")
    return found


def _open(job: TrackedJob, runs: Path, say: Say, mode: str) -> WandbTracker:
    import wandb

    _silence(wandb)
    folder = Path(_env("DIR", str(runs)))
    folder.mkdir(parents=True, exist_ok=True)
    recorded = job.history[-1][0] if job.history else 0
    logged = min(_logged_before(job, folder / "wandb"), recorded)  # beyond it they tell of a run that the job table forgot
    place, failed = _place(job), WandbTracker.unreachable
    # a failure while others are online costs the run its curve, so after the first another place is asked only when none is open
    if mode == "online" and place not in failed and not (failed and WandbTracker.open):
        try:
            return WandbTracker(_init(job, folder, mode), job, logged)
        except wandb.errors.CommError:
            failed.add(place)
            if WandbTracker.open:  # else their runs would end with the service
                raise
            wandb.teardown()  # the service still holds the run's id
    why = "the server does not answer, " if mode == "online" else ""
    say(f"W&B: {why}offline, sync later with `wandb sync {folder}/wandb/offline-run-*`")
    return WandbTracker(_init(job, folder, "offline" if mode == "online" else mode), job, logged)


def has_key() -> bool:
    """Whether an API key is configured for the W&B server in use; reads the environment and .netrc, no network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    base = os.environ.get("WANDB_BASE_URL")
    hosts = [urlsplit(base).netloc] if base else HOSTS
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        try:
            keys = netrc.netrc(os.path.expanduser(path)) if path else None
        except (OSError, netrc.NetrcParseError):
            continue
        if keys is not None and any(keys.authenticators(host) for host in hosts):
            return True
    return False


@contextmanager
def _masked_words() -> Iterator[None]:
    """While W&B starts, which is when it reads the command line to keep it in its files, that holds no password.

    Whoever else reads `sys.argv` meanwhile sees the one list or the other; two that open runs at once take turns, or the second
    would put the masked words back for good.
    """
    with _turn:
        given = sys.argv
        sys.argv = [without_secrets(word) for word in given]
        try:
            yield
        finally:
            sys.argv = given


def _logged_before(job: TrackedJob, folder: Path) -> int:
    """The last epoch in the files of a job's earlier attempts, those to the same project.

    Files that a kill cut short go, the job table has what they had. An earlier nftlab did not note the project.
    """
    last = 0
    for run in folder.glob(f"*run-*-{job.key}*"):
        try:
            epoch, *place = (run / _COMPLETE).read_text().split("\n")
            if not place or tuple(place) == _place(job):
                last = max(last, int(epoch))
        except (OSError, ValueError):
            if run.name.startswith("offline") and not any(run.glob("*.synced")):
                shutil.rmtree(run, ignore_errors=True)
    return last


def _init(job: TrackedJob, folder: Path, mode: str) -> wandb.Run:
    import wandb

    project, entity = _place(job)
    known = wandb.Settings.model_fields
    settings = wandb.Settings(**{name: value for name, value in _SETTINGS.items() if name in known})
    return wandb.init(
        id=job.key,
        resume="allow",
        reinit="create_new",
        mode=mode,  # type: ignore[arg-type]
        dir=folder,
        project=project,
        entity=entity or None,
        name=_env("NAME", job.name),
        group=_env("RUN_GROUP", job.trial_key),
        job_type=_env("JOB_TYPE", str(job.config.get("algorithm", ""))),
        tags=_tags(job),
        config={
            **job.config,
            "seed": job.seed,
            "nftlab/sweep": job.sweep,
            "nftlab/job": job.key,
            "nftlab/trial": job.trial_key,
            "nftlab/sha": job.sha,
        },
        settings=settings,
    )


def _place(job: TrackedJob) -> tuple[str, str]:
    """The project and the entity ("": the API key's own) that a job's curves go to."""
    return _env("PROJECT", job.project or PROJECT), _env("ENTITY", job.entity or "")


def _env(name: str, otherwise: str) -> str:
    """What the user's environment says. Read here because wandb reads it only once per process."""
    return os.environ.get(f"WANDB_{name}") or otherwise


def _tags(job: TrackedJob) -> list[str]:
    mine = [job.sweep, *(str(job.config[name]) for name in ("algorithm", "network", "dataset") if name in job.config), f"seed-{job.seed}"]
    yours = [tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",")]
    return list(dict.fromkeys(tag[:_TAG] for tag in [*mine, *yours] if tag))


def _silence(wandb: Any) -> None:
    """Settings of one run do not reach what W&B prints while it starts, nor what its log says of a disk that is full."""
    wandb.setup(wandb.Settings(silent=True))
    logging.raiseExceptions = False
