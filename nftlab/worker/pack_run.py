"""One pack in the hands of the supervisor: record what the trainer reports, fill free places, keep leases, obey signals, judge failures."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from nftlab.errors import DatabaseError, FencedError, NftlabError
from nftlab.store import Claim, EpochRow, Outcome, jobs
from nftlab.worker import shelf
from nftlab.worker.messages import Drop, Ended, Epoch, Failed, Join, Note, Recorded, Report, Stop, Train
from nftlab.worker.pack_size import Choice, Pace

if TYPE_CHECKING:
    from nftlab.worker.worker import Session

DONE, FAILED, HANDED_BACK = 0, 1, 75  # how trackers are told that an attempt ended
LOST = "lost-trainer"  # the store counts it: five in a row without an epoch quarantine a job
STALLED = 600.0  # seconds, at least
LOOK = 1.0  # seconds between looks for jobs while places stay free
_SICK = {"data", "disk", "device"}  # failures that the next job would meet too


class SickNodeError(NftlabError):
    """This machine cannot train: its jobs were handed back unharmed, another machine may take them."""

    exit_code = 69


@dataclass(frozen=True)
class Berth:
    """Where jobs of one pack key train: how many and which way, and what their attempts record of it."""

    pack_key: str
    choice: Choice
    noted: dict[str, Any]


class PackRun:
    """The jobs that train as one pack until each is finished, failed, handed back or lost. `held` are those still ours, by attempt.

    Where a job leaves, another of its kind takes the place: the pack ends when there is none and no lane is left.
    """

    def __init__(self, session: Session, berth: Berth) -> None:
        self.session, self.queue, self.trainer, self.berth = session, session.queue, session.trainer, berth
        self.held: dict[int, Claim] = {}
        self._met = 0  # jobs that were ever held
        self._alone = False  # whether one must train without company
        self._over = False
        self._moved = False
        self._beaten = self._heard = self._epoch_began = self._looked = time.monotonic()
        self._deadline: float | None = None
        self._told = False  # to stop
        self._deserted = float("inf")  # when the last job was taken from us, on the monotonic clock
        self._saved: dict[int, int] = {}  # checkpoints that the table knows, by attempt
        self._walls: deque[float] = deque(maxlen=99)  # seconds of the pack's last epochs
        self._pace = Pace(self._places, berth.choice.way)

    def run(self, claims: list[Claim]) -> None:
        """Raises FencedError when the lease was lost, SickNodeError when this machine cannot go on."""
        try:
            self._enter(claims)
            self.trainer.tell(Train(tuple(claims), self.berth.choice.way))
            while not self._over:
                self._wait()
                self._take(self.trainer.hear())
                if not self._over and self.trainer.gone:
                    self._take(self.trainer.hear())
                    self._lost()
                self._refill()
                self._obey()
                self._beat()
                self._watch()
            self.session.observed(self.berth, self._pace)
        except DatabaseError:
            raise  # the leases run out by themselves
        except BaseException:
            self.trainer.kill()
            self._hand_back("worker-error")
            raise

    # --- who trains

    @property
    def _places(self) -> int:
        return 1 if self._alone else self.session.sizes.places(self.berth.pack_key, self.berth.choice)

    def _enter(self, claims: list[Claim]) -> None:
        self.session.welcome(claims)
        self._met += len(claims)
        self._alone |= any(claim.alone for claim in claims)
        self.held |= {claim.attempt_id: claim for claim in claims}
        self._saved |= dict.fromkeys((claim.attempt_id for claim in claims), 0)

    def _refill(self) -> None:
        """Gives free places to waiting jobs; when there are none and nothing is left to train, the pack ends."""
        if self._over or self._told:
            return
        if claims := self._more():
            self._enter(claims)
            self.trainer.tell(Join(tuple(claims)))
            self.session.display.join(claims)
        elif not self.held:
            self._end_training()

    def _more(self) -> list[Claim]:
        """Further jobs, if there is a place for them and it is time to look."""
        places, now = self._places, time.monotonic()
        # A single place is not filled again: what trains next there is a new pack, of a size that suits what waits by then.
        if places == 1 or len(self.held) >= places or now - self._looked < LOOK:
            return []
        self._looked = now
        return self.session.claim_more(self.berth, places - len(self.held), list(self.held.values()))

    def _end_training(self) -> None:
        self._told = True
        self.trainer.tell(Stop())

    # --- what the trainer says

    def _take(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._moved, self._heard = True, time.monotonic()
            if isinstance(report, Epoch):
                self._record(report)
            elif isinstance(report, Note):
                self.session.display.say(report.line)
            elif isinstance(report, Failed):
                if report.attempt is None:
                    self._over = True
                    if report.kind == "crash":  # after an error of CUDA no call of that process succeeds: the next pack gets another
                        self.trainer.kill()
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
        rows: list[tuple[Claim, EpochRow]] = [(self.held[attempt], row) for attempt, row in report.rows if attempt in self.held]
        self._drop(self.queue.record_epoch(rows) if rows else set())
        for claim, row in rows:
            if claim.attempt_id in self.held:
                self.session.mirror.log(claim.job_key, row.epoch, row.values)
                self._saved[claim.attempt_id] += row.checkpoint is not None
                if row.checkpoint and self._saved[claim.attempt_id] == 2:  # both that the table knows are of this attempt
                    shelf.forget_earlier(self.session.options.runs, claim)
        self.trainer.tell(Recorded())
        self.session.display.epoch(rows)
        if self._pace.see([row for _, row in rows]):
            self.session.observed(self.berth, self._pace)
        ends: list[tuple[Claim, Outcome]] = [(self.held[attempt], end) for attempt, end in report.outcomes if attempt in self.held]
        self._drop(self.queue.finish(ends) if ends else set())
        for claim, end in ends:
            if claim.attempt_id in self.held:
                self._leave(claim, DONE, _summary(end))
                shelf.settle(self.session.options.runs, claim)
                self.session.finished(claim, end)

    def _judge(self, failure: Failed) -> None:
        """Who is to blame for a failure: the machine, the pack, or one job."""
        if failure.kind in _SICK:
            self._hand_back(failure.kind)
            raise SickNodeError(failure.error)
        lanes = len(self.held)
        suspects = [claim for claim in self.held.values() if failure.attempt in (None, claim.attempt_id)]
        if self._met > 1:
            # Which of them it was will show when each trains alone: only that one spends a retry.
            memory = failure.kind == "memory"
            if memory:
                self.session.sizes.limit(self.berth.pack_key, lanes // 2 if failure.attempt is None else lanes - 1)
            who = f"a pack of {lanes}" if failure.attempt is None else "a job of a pack"
            self.session.display.say(f"{who} failed ({failure.error}): {'smaller' if memory else 'one by one'}")
            self._hand_back("out-of-memory" if memory else "pack-crash", suspects, alone=not memory)
            return
        for claim in suspects:
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
        if len(suspects) > 1 and not self._walls:  # perhaps it was too large for this machine's memory
            self.session.sizes.limit(self.berth.pack_key, len(suspects) // 2)
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
        self.trainer.tell(Drop(frozenset(claim.attempt_id for claim in gone)))
        self._deserted = time.monotonic()
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
            self._end_training()
            again = ", Ctrl-C again stops now" if signals.interrupts else ""
            self.session.display.say(f"{signals.cause}: finishing the epoch{again}")

    def _watch(self) -> None:
        if not self._over and not self.held and time.monotonic() - self._deserted > self.session.options.grace:
            self.session.display.say("the trainer does not let go of what was cancelled: it is killed")
            self._cut_off("cancel")
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

    def _hand_back(self, cause: str, claims: Sequence[Claim] | None = None, *, alone: bool = False) -> None:
        """Gives jobs (None: all that are held) to whoever wants them."""
        claims = list(self.held.values()) if claims is None else claims
        if claims:
            self.queue.release(claims, cause=cause, alone=alone)
        for claim in claims:
            self._leave(claim, HANDED_BACK, None)

    def _leave(self, claim: Claim, exit_code: int, summary: dict[str, Any] | None) -> None:
        del self.held[claim.attempt_id], self._saved[claim.attempt_id]
        self._looked = float("-inf")  # a place is free
        self.session.mirror.close(claim.job_key, summary, exit_code)


def _summary(end: Outcome) -> dict[str, Any]:
    return {"best_epoch": end.best_epoch, "val/error": end.val_error, "test/error": end.test_error, "diverged": end.diverged}
