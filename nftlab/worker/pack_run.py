"""One pack in the hands of the supervisor: record what the trainer reports, keep the leases, obey signals, judge failures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from nftlab.errors import DatabaseError, FencedError, NftlabError
from nftlab.store import Claim, EpochRow, Outcome, jobs
from nftlab.worker import shelf
from nftlab.worker.messages import Drop, Ended, Epoch, Failed, Note, Recorded, Report, Stop, Train

if TYPE_CHECKING:
    from nftlab.worker.worker import Session

DONE, FAILED, HANDED_BACK = 0, 1, 75  # how trackers are told that an attempt ended
LOST = "lost-trainer"  # the store counts it: five in a row without an epoch quarantine a job
STALLED = 600.0  # seconds, at least
_SICK = {"data", "disk", "device"}  # failures that the next job would meet too


class SickNodeError(NftlabError):
    """This machine cannot train: its jobs were handed back unharmed, another machine may take them."""

    exit_code = 69


class PackRun:
    """The jobs of one claim until each is finished, failed, handed back or lost. `held` are those still ours, by key."""

    def __init__(self, session: Session, claims: Sequence[Claim]) -> None:
        self.session, self.queue, self.trainer = session, session.queue, session.trainer
        self.held = {claim.job_key: claim for claim in claims}
        self._size = len(claims)
        self._over = False
        self._moved = False
        self._beaten = self._heard = self._epoch_began = time.monotonic()
        self._deadline: float | None = None
        self._told = False
        self._saved = dict.fromkeys(self.held, 0)  # checkpoints that the table knows
        self._walls: list[float] = []  # seconds of the pack's epochs

    def run(self) -> None:
        """Raises FencedError when the lease was lost, SickNodeError when this machine cannot go on."""
        try:
            self.trainer.tell(Train(tuple(self.held.values())))
            while not self._over:
                self._wait()
                self._take(self.trainer.hear())
                if not self._over and self.trainer.gone:
                    self._take(self.trainer.hear())
                    self._lost()
                self._obey()
                self._beat()
                self._watch()
        except DatabaseError:
            raise  # the leases run out by themselves
        except BaseException:
            self.trainer.kill()
            self._hand_back("worker-error")
            raise

    # --- what the trainer says

    def _take(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._moved, self._heard = True, time.monotonic()
            if isinstance(report, Epoch):
                self._record(report)
            elif isinstance(report, Note):
                self.session.display.say(report.line)
            elif isinstance(report, Failed):
                self._over = True
                self._judge(report)
            elif isinstance(report, Ended):
                self._over = True
                self._hand_back(self.session.signals.cause)

    def _record(self, report: Epoch) -> None:
        """Rows first, then outcomes; both only for jobs that are still ours."""
        if report.rows:
            self._walls.append(self._heard - self._epoch_began)
            self._epoch_began = self._heard
            self.queue.stalled_after = self._stalled_after
        rows: list[tuple[Claim, EpochRow]] = [(self.held[key], row) for key, row in report.rows if key in self.held]
        self._drop(self.queue.record_epoch(rows) if rows else set())
        for claim, row in rows:
            if claim.job_key in self.held:
                self.session.mirror.log(claim.job_key, row.epoch, row.values)
                self._saved[claim.job_key] += row.checkpoint is not None
                if row.checkpoint and self._saved[claim.job_key] == 2:  # both that the table knows are of this attempt
                    shelf.forget_earlier(self.session.options.runs, claim)
        self.trainer.tell(Recorded())
        self.session.display.epoch(rows)
        ends: list[tuple[Claim, Outcome]] = [(self.held[key], end) for key, end in report.outcomes if key in self.held]
        self._drop(self.queue.finish(ends) if ends else set())
        for claim, end in ends:
            if claim.job_key in self.held:
                self._leave(claim, DONE, _summary(end))
                shelf.settle(self.session.options.runs, claim)
                self.session.finished(claim, end)

    def _judge(self, failure: Failed) -> None:
        """Who is to blame for a failure: the machine, the pack, or its only job."""
        if failure.kind in _SICK:
            self._hand_back(failure.kind)
            raise SickNodeError(failure.error)
        if self._size > 1:
            # Which of them it was will show when each trains alone: only that one spends a retry.
            memory = failure.kind == "memory"
            if memory:
                self.session.limit(next(iter(self.held.values())).pack_key, self._size // 2)
            self.session.display.say(f"a pack of {self._size} failed ({failure.error}): {'smaller' if memory else 'one by one'}")
            self._hand_back("out-of-memory" if memory else "pack-crash", alone=not memory)
            return
        for claim in list(self.held.values()):
            if failure.kind == "config":
                self.queue.fail(claim, failure.traceback, cause="config")
            else:
                self._suspect_machine(claim)
                self.queue.fail(claim, failure.traceback, cause="crash")
            self._leave(claim, FAILED, None)
            self.session.failed(claim, failure.error)

    def _lost(self) -> None:
        """The trainer died: nobody knows why, so no job is to blame unless it happens again and again."""
        self._over = True
        self.session.display.say(f"the trainer {self.trainer.end}")
        suspects = list(self.held.values())
        if self._size > 1 and not self._walls:
            self.session.limit(suspects[0].pack_key, self._size // 2)  # perhaps it was too large for this machine's memory
        self._hand_back(LOST)
        for claim in suspects[:1]:
            self._suspect_machine(claim)

    def _suspect_machine(self, claim: Claim) -> None:
        """Raises SickNodeError when too many different jobs failed here in a row; what is held then is handed back unharmed."""
        streak = self.session.suspect(claim.job_key)
        if streak >= self.session.options.max_failures:
            self._hand_back("sick-node")
            raise SickNodeError(
                f"{streak} jobs in a row failed on this machine", "see `nftlab job list --state failed` and `nftlab doctor`"
            )

    # --- what the clock, the users and the other workers say

    def _wait(self) -> None:
        wait(
            [*self.trainer.waitable, self.session.signals.socket], timeout=min(1.0, self.session.options.lease / 6, self._stalled_after / 6)
        )
        self.session.signals.drain()

    def _beat(self) -> None:
        now = time.monotonic()
        # the store lets a claim expire with its lease or its progress stamp, whichever comes first
        if self.held and now - self._beaten >= min(self.session.options.lease, self._stalled_after) / 3:
            self._beaten = now
            stale = self.queue.beat(list(self.held.values()), progressed=self._moved)
            self._moved = False
            self._drop(stale)

    def _drop(self, stale: set[int]) -> None:
        """Lets go of jobs that are no longer ours. Raises FencedError when others have them all; a cancelled one is nobody's."""
        gone = [claim for claim in self.held.values() if claim.job_id in stale]
        if not gone:
            return
        for claim in gone:
            self._leave(claim, HANDED_BACK, None)
        self.trainer.tell(Drop(frozenset(claim.job_key for claim in gone)))
        cancelled = [claim for claim in gone if jobs(self.session.engine, key=claim.job_key)[0].state == "cancelled"]
        self.session.display.say(
            f"{len(gone)} of our jobs {'cancelled' if len(cancelled) == len(gone) else 'taken over by another worker'}"
        )
        if not self.held and len(cancelled) < len(gone):
            raise FencedError("this worker's lease ran out and others have its jobs: it stops and changes nothing")

    def _obey(self) -> None:
        signals = self.session.signals
        if self._over or not signals.stop:
            return
        if signals.preempted and self._deadline is None:
            self._deadline = time.monotonic() + self.session.options.grace
        if signals.now or (self._deadline is not None and time.monotonic() >= self._deadline):
            self._cut_off(signals.cause)
        elif not self._told:
            self._told = True
            self.trainer.tell(Stop())
            again = "" if signals.preempted else ", Ctrl-C again stops now"
            self.session.display.say(f"{signals.cause}: finishing the epoch{again}")

    def _watch(self) -> None:
        if not self._over and time.monotonic() - self._heard > self._stalled_after:
            self.session.display.say(f"no progress for {self._stalled_after:.0f} s: the trainer is killed")
            suspects = list(self.held.values())
            self._cut_off("stalled")
            for claim in suspects[:1]:
                self._suspect_machine(claim)

    @property
    def _stalled_after(self) -> float:
        """Seconds without a sign of progress that count as a hang."""
        median = statistics.median(self._walls) if self._walls else 0.0
        return self.session.options.stalled_after or max(STALLED, 5 * median)

    # --- letting go

    def _cut_off(self, cause: str) -> None:
        """Kills the trainer and hands the jobs back; what it had reported before is recorded."""
        last = self.trainer.kill()
        self._take(last)
        self._over = True
        self._hand_back(cause)

    def _hand_back(self, cause: str, *, alone: bool = False) -> None:
        if not self.held:
            return
        self.queue.release(list(self.held.values()), cause=cause, alone=alone)
        for claim in list(self.held.values()):
            self._leave(claim, HANDED_BACK, None)

    def _leave(self, claim: Claim, exit_code: int, summary: dict[str, Any] | None) -> None:
        del self.held[claim.job_key]
        self.session.mirror.close(claim.job_key, summary, exit_code)


def _summary(end: Outcome) -> dict[str, Any]:
    return {"best_epoch": end.best_epoch, "val/error": end.val_error, "test/error": end.test_error, "diverged": end.diverged}
