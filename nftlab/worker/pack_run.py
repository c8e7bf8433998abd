"""One pack in the hands of the supervisor: record what the trainer reports, fill free places, keep leases, obey signals, judge failures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from nftlab.errors import DatabaseError, FencedError
from nftlab.store import Claim, EpochRow, Outcome, story
from nftlab.worker import blame, shelf
from nftlab.worker.messages import Away, Back, Drop, Ended, Epoch, Failed, Join, Note, Recorded, Report, Stop, Train
from nftlab.worker.pack_size import Choice, Pace
from nftlab.worker.pulse import Pulse
from nftlab.worker.spool import Spool
from nftlab.worker.tracking import DONE, HANDED_BACK, summary

if TYPE_CHECKING:
    from nftlab.worker.worker import Session

LOOK = 1.0  # seconds between looks for jobs while places stay free


@dataclass(frozen=True)
class Berth:
    """Where jobs of one pack key train: how many and which way, and what their attempts record of it."""

    pack_key: str
    choice: Choice
    noted: dict[str, Any]


class PackRun:
    """The jobs that train as one pack until each is finished, failed, handed back or lost. `held` are those still ours, by attempt.

    Where a job leaves, another of its kind takes the place: the pack ends when there is none and no lane is left.
    All that the job table is told goes through the spool, so that training goes on while the table is away.
    """

    def __init__(self, session: Session, berth: Berth) -> None:
        self.session, self.queue, self.trainer, self.berth = session, session.queue, session.trainer, berth
        self.held: dict[int, Claim] = {}
        self.met = 0  # jobs that were ever held
        self._alone = False  # whether one must train without company
        self.over = False
        self._moved = False
        self._beaten = self._looked = time.monotonic()
        self._deadline: float | None = None
        self._told = False  # to stop
        self._told_away = False
        self._deserted = float("inf")  # when the last job was taken from us, on the monotonic clock
        self._saved: dict[int, int] = {}  # checkpoints that the table knows, by attempt
        self._recorded = 0  # epochs that the table knows and the trainer has not heard of
        self._through: set[int] = set()  # attempts that train no more, whether the table knows it or not
        self.spool = Spool(session.outage)
        self.pulse = Pulse(session.options.stalled_after)
        self._pace = Pace(self._places, berth.choice.way)

    def run(self, claims: list[Claim]) -> None:
        """Raises FencedError when the lease was lost, SickNodeError when this machine cannot go on, OutageError when the table is lost."""
        try:
            self._enter(claims)
            self.trainer.tell(Train(tuple(claims), self.berth.choice.way))
            while not (self.over and self.spool.empty):
                self._wait()
                self.spool.work_off()
                self._take(self.trainer.hear())
                if not self.over and self.trainer.gone:
                    self._take(self.trainer.hear())
                    blame.lost(self)
                self._beat()  # before more are looked for, which may take long
                self._refill()
                self._obey()
                self._mind_outage()  # before silence is judged: a trainer may have waited for the table
                self._watch()
                self._acknowledge()
            self.spool.put(partial(self.session.observed, self._pace))
        except BaseException:
            self.trainer.kill()
            with contextlib.suppress(DatabaseError):  # then the leases run out by themselves
                self.hand_back(self.session.signals.cause if self.session.signals.stop else "worker-error")
            raise

    # --- who trains

    @property
    def _places(self) -> int:
        return 1 if self._alone else self.session.sizes.places(self.berth.pack_key, self.berth.choice)

    def _enter(self, claims: list[Claim]) -> None:
        self._supersede(claims)
        self.met += len(claims)
        self._alone |= any(claim.alone for claim in claims)
        self._deserted = float("inf")
        self.held |= {claim.attempt_id: claim for claim in claims}
        self._saved |= dict.fromkeys((claim.attempt_id for claim in claims), 0)
        self.spool.put(partial(self.session.welcome, claims))

    def _supersede(self, claims: list[Claim]) -> None:
        """Jobs that came back before we heard that they were cancelled (or deleted, and launched again) leave the lanes of before."""
        keys = {claim.job_key for claim in claims}
        self._part([claim for claim in self.held.values() if claim.job_key in keys])

    def _refill(self) -> None:
        """Looks for waiting jobs when there is a place and it is time; when there are none and nothing is left to train, the pack ends."""
        if self.over or self._told or not self.spool.empty:
            return
        places, now = self._places, time.monotonic()
        # A single place is not filled again: what trains next there is a new pack, of a size that suits what waits by then.
        if places > 1 and len(self.held) < places and now - self._looked >= LOOK:
            self._looked = now
            self.spool.put(self._claim_more)
        elif not self.held:
            self._end_training()

    def _claim_more(self) -> None:
        claims = self.session.claim_more(self.berth, self._places - len(self.held), list(self.held.values()))
        if claims:
            self._enter(claims)
            self.trainer.tell(Join(tuple(claims)))
            self.session.display.join(claims)
        elif not self.held:
            self._end_training()

    def _end_training(self) -> None:
        self._told = True
        self.trainer.tell(Stop())

    # --- what the trainer says

    def _take(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._moved = True
            self.pulse.feel()
            if isinstance(report, Epoch):
                self._through |= {attempt for attempt, _ in report.outcomes}
                if report.rows:
                    self.pulse.epoch()
                    self.queue.stalled_after = self.pulse.stalled_after
                self.spool.put(partial(self._record, report.rows))
                self._acknowledge()  # before others are judged or claimed: the trainer may wait for it
                self.spool.put(partial(self._finish, report.outcomes))
                self.spool.put(partial(self._prune, report.rows))
            elif isinstance(report, Note):
                self.session.display.say(report.line)
            elif isinstance(report, Failed):
                if report.attempt is None:
                    self.over = True
                    if report.kind == "crash":  # after an error of CUDA no call of that process succeeds: the next pack gets another
                        self.trainer.kill()
                else:
                    self._through.add(report.attempt)
                self.spool.put(partial(blame.judge, self, report))
            elif isinstance(report, Ended):
                self.over = True
                self.spool.put(partial(self.hand_back, self.session.signals.cause))

    def _record(self, reported: Sequence[tuple[int, EpochRow]]) -> None:
        """Rows of jobs that are still ours."""
        rows = [(self.held[attempt], row) for attempt, row in reported if attempt in self.held]
        self._drop(self.queue.record_epoch(rows) if rows else set())
        for claim, row in rows:
            if claim.attempt_id in self.held:
                self.session.tracking.mirror.log(claim.job_key, row.epoch, row.values)
                self._saved[claim.attempt_id] += row.checkpoint is not None
                if row.checkpoint and self._saved[claim.attempt_id] == 2:  # both that the table knows are of this attempt
                    shelf.forget_earlier(self.session.options.runs, claim)
        self._recorded += 1
        self.session.display.epoch(rows)
        if self._pace.see(rows):
            self.spool.put(partial(self.session.observed, self._pace))

    def _acknowledge(self) -> None:
        """Tells the trainer how much is recorded, in one message: with one for each of a long backlog both ends could wait to write."""
        if self._recorded:
            self.trainer.tell(Recorded(self._recorded))
            self._recorded = 0

    def _finish(self, reported: Sequence[tuple[int, Outcome]]) -> None:
        """Outcomes of jobs that are still ours."""
        ends = [(self.held[attempt], end) for attempt, end in reported if attempt in self.held]
        self._drop(self.queue.finish(ends) if ends else set())
        for claim, end in ends:
            if claim.attempt_id in self.held:
                self.leave(claim, DONE, summary(end))
                shelf.settle(self.session.options.runs, claim)
                self.session.finished(claim, end)

    def _prune(self, reported: Sequence[tuple[int, EpochRow]]) -> None:
        """Ends the jobs that fall behind their peers; their lanes go with the trainer's next epoch."""
        rows = [(self.held[attempt], row) for attempt, row in reported if attempt in self.held]
        if behind := self.session.referee.judge(rows):
            self._drop(self.queue.prune(behind))
            ours = [(claim, why) for claim, why in behind if claim.attempt_id in self.held]
            self.trainer.tell(Drop(frozenset(claim.attempt_id for claim, _ in ours)))
            for claim, why in ours:
                self.leave(claim, DONE, {"pruned": why})
                self.session.pruned(claim, why)

    # --- what the clock, the users and the other workers say

    def _wait(self) -> None:
        heard = [] if self.over else self.trainer.waitable  # a dead trainer would be ready at once, again and again
        ticks = 1.0, self.session.options.lease / 6, self.pulse.stalled_after / 6
        wait([*heard, self.session.signals.socket], timeout=min(ticks))
        self.session.signals.drain()

    def _beat(self) -> None:
        now = time.monotonic()
        # the store lets a claim expire with its lease or its progress stamp, whichever comes first
        if self.held and self.spool.empty and now - self._beaten >= min(self.session.options.lease, self.pulse.stalled_after) / 3:
            self._beaten = now
            self.spool.put(self._renew)

    def _renew(self) -> None:
        stale = self.queue.beat(list(self.held.values()), progressed=self._moved)
        self._moved = False
        self._drop(stale)

    def _drop(self, stale: set[int]) -> None:
        """Lets go of jobs that are no longer ours. Raises FencedError when others have them all; one cancelled or deleted is nobody's."""
        gone = [claim for claim in self.held.values() if claim.job_id in stale]
        if not gone:
            return
        cancelled = [claim for claim in gone if self._nobodys(claim)]
        self._part(gone)
        if not self.held:
            self._deserted = time.monotonic()
        self.session.display.say(
            f"{len(gone)} of our jobs {'cancelled' if len(cancelled) == len(gone) else 'taken over by another worker'}"
        )
        if not self.held and len(cancelled) < len(gone):
            raise FencedError("this worker's lease ran out and others have its jobs: it stops and changes nothing")

    def _part(self, gone: list[Claim]) -> None:
        """Their lanes go at the end of the epoch, or earlier when nobody else is in it."""
        for claim in gone:
            self.leave(claim, HANDED_BACK, None)
        if gone:
            self.trainer.tell(Drop(frozenset(claim.attempt_id for claim in gone)))

    def _nobodys(self, claim: Claim) -> bool:
        """Whether our attempt at a job that is no longer ours was ended by a cancel, whatever came then, or deleted with its sweep."""
        tries = story(self.session.engine, claim.job_key)["attempts"]
        return [attempt["cause"] for attempt in tries if attempt["id"] == claim.attempt_id] in ([], ["cancel"])

    def _obey(self) -> None:
        signals = self.session.signals
        if signals.preempted and self._deadline is None:
            self._deadline = time.monotonic() + self.session.options.grace
        if self.over or not signals.stop:
            return
        if signals.now or (self._deadline is not None and time.monotonic() >= self._deadline):
            self._cut_off(partial(self.hand_back, signals.cause))
        elif not self._told:
            self._end_training()
            again = ", Ctrl-C again stops now" if signals.interrupts else ""
            self.session.display.say(f"{signals.cause}: finishing the epoch{again}")

    def _watch(self) -> None:
        if not self.over and time.monotonic() - self._deserted > self.session.options.grace:
            self.session.display.say("the trainer does not let go of what was cancelled: it is killed")
            self._cut_off(partial(self.hand_back, "cancel"))
        silent = self.over or (self.session.outage.error and not self._training)  # a trainer without lanes waits for ours to be told
        if not silent and time.monotonic() - self.pulse.heard > self.pulse.stalled_after:
            self.session.display.say(f"no progress for {self.pulse.stalled_after:.0f} s: the trainer is killed")
            self._cut_off(partial(blame.part, self, "stalled"))

    def _mind_outage(self) -> None:
        """While the table is away the trainer goes on without it; once nothing is left to train, patience ends. Raises OutageError."""
        outage, signals = self.session.outage, self.session.signals
        if self._told_away != bool(outage.error):
            self._told_away = bool(outage.error)
            self.trainer.tell(Away() if self._told_away else Back())
            self.pulse.feel()
        if outage.error and not self._training:
            patience = self.session.options.grace if signals.stop else self.session.options.patience
            ends = self._deadline or max(self.pulse.heard, outage.began) + patience
            if signals.now or time.monotonic() >= ends:
                raise outage.error

    @property
    def _training(self) -> bool:
        return not self.over and bool(self.held.keys() - self._through)

    # --- letting go

    def _cut_off(self, deed: Callable[[], object]) -> None:
        """Kills the trainer and lets the deed part with the jobs; what it had reported before is recorded."""
        last = self.trainer.kill()
        self._take(last)
        self.over = True
        self.spool.put(deed)

    def hand_back(self, cause: str, claims: Sequence[Claim] | None = None, *, alone: bool = False) -> None:
        """Gives jobs (None: all that are held) to whoever wants them."""
        claims = list(self.held.values()) if claims is None else claims
        if claims:
            self.queue.release(claims, cause=cause, alone=alone)
        for claim in claims:
            self.leave(claim, HANDED_BACK, None)

    def leave(self, claim: Claim, exit_code: int, summary: dict[str, Any] | None) -> None:
        del self.held[claim.attempt_id], self._saved[claim.attempt_id]
        self._looked = float("-inf")  # a place is free
        self.session.tracking.mirror.close(claim.job_key, summary, exit_code)
