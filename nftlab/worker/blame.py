"""Who is to blame for a failure: the machine, the pack, or one job.

What is done here may be done again from its start when the job table does not answer: a job is let go only when the table knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from nftlab.errors import NftlabError
from nftlab.store import Claim
from nftlab.worker.circumstances import other_code
from nftlab.worker.messages import Failed

if TYPE_CHECKING:
    from nftlab.worker.pack_run import PackRun

FAILED = 1  # how trackers are told that an attempt failed
LOST = "lost-trainer"  # the store counts it: five in a row without an epoch quarantine a job
_SICK = {"data", "unknown", "disk", "device"}  # failures that the next job would meet too


class SickNodeError(NftlabError):
    """This machine cannot train: its jobs were handed back unharmed, another machine may take them."""

    exit_code = 69


class UnloadableError(SickNodeError):
    """A data set cannot be loaded here; jobs on others may train."""


class UnknownDataError(UnloadableError):
    """The code that runs here does not have such a data set."""


def of_other_code(engine: Engine, sweep: str, code: Mapping[str, Any], error: str) -> UnloadableError | None:
    """Why what cannot run here is left to others: the sweep was launched from other code; None when it was not, as far as is known."""
    what = next(other_code(engine, {sweep}, code, known=True), None)
    if what is None:
        return None
    return UnloadableError(f"{what}, in which {error}", "check out the code that was launched, or launch again from this")


def judge(run: PackRun, failure: Failed) -> None:
    """Acts on what the trainer could not do. Raises SickNodeError when it is the machine's fault."""
    if failure.kind in _SICK:
        run.hand_back(failure.kind)
        raise SickNodeError(failure.error)
    suspects = [claim for claim in run.held.values() if failure.attempt in (None, claim.attempt_id)]
    if failure.kind == "config":
        strangers = [claim for claim in suspects if run.session.leaves_to_others(claim, failure.error)]
        run.hand_back("other-code", strangers)
        suspects = [claim for claim in suspects if claim not in strangers]
    if run.met > 1 and suspects:
        _part_company(run, failure, suspects)
        return
    for claim in suspects:
        if failure.kind == "memory" and run.berth.choice.recorded:
            run.session.sizes.run_eagerly(run.berth.choice.kind)  # recordings take memory: once more without them, at no retry
            run.hand_back("out-of-memory", [claim])
            continue
        if failure.kind != "config":
            _suspect_machine(run, [claim])
        run.queue.fail(claim, failure.traceback, cause="config" if failure.kind == "config" else "crash")
        run.leave(claim, FAILED, None)
        run.session.failed(claim, failure.error)


def _part_company(run: PackRun, failure: Failed, suspects: list[Claim]) -> None:
    """Which job of a pack it was will show when each trains alone: only that one spends a retry."""
    lanes, memory = len(run.held), failure.kind == "memory"
    if memory:
        run.session.sizes.limit(run.berth.pack_key, lanes // 2 if failure.attempt is None else lanes - 1)
    run.hand_back("out-of-memory" if memory else "pack-crash", suspects, alone=not memory)
    who = f"a pack of {lanes}" if failure.attempt is None else "a job of a pack"
    run.session.display.say(f"{who} failed ({failure.error}): {'smaller' if memory else 'one by one'}")


def lost(run: PackRun) -> None:
    """The trainer died: nobody knows why, so no job is to blame unless it happens again and again."""
    run.over = True
    run.session.display.say(f"the trainer {run.trainer.end}")
    if len(run.held) > 1 and run.pulse.young:  # perhaps it was too large for this machine's memory
        run.session.sizes.limit(run.berth.pack_key, len(run.held) // 2)
    run.spool.put(partial(part, run, LOST))


def part(run: PackRun, cause: str) -> None:
    """The jobs of a trainer that died or hung go back; the first stands for them all among this machine's failures."""
    if run.held:
        _suspect_machine(run, list(run.held.values()))
    run.hand_back(cause)


def _suspect_machine(run: PackRun, claims: list[Claim]) -> None:
    """Raises SickNodeError when too many different jobs failed here in a row; none of them loses anything by it."""
    streak = run.session.suspect(claims)
    count = len({failed[0].job_key for failed in streak})
    if count >= run.session.options.max_failures:
        run.queue.refund([claim for failed in streak for claim in failed], run.session.me, cause="sick-node")
        run.hand_back("sick-node")
        raise SickNodeError(f"{count} jobs in a row failed on this machine", "see `nftlab job list --state queued` and `nftlab doctor`")
