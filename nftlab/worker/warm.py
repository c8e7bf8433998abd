"""A worker's trainer between packs: started, asked what it takes, and started anew when it has died."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import wait

from sqlalchemy import Engine

from nftlab.code import identity, named
from nftlab.track import Say
from nftlab.worker.blame import SickNodeError, UnknownDataError, UnloadableError, of_other_code
from nftlab.worker.budget import Wishes
from nftlab.worker.circumstances import snapshots
from nftlab.worker.handle import TrainerHandle
from nftlab.worker.messages import Failed, Measure, Measured, Prepare, Prepared, Ready, Report

POLL = 1.0  # seconds between looks at a trainer that does not answer
_UNLOADABLE = {"data": UnloadableError, "unknown": UnknownDataError}


class WarmTrainer:
    """`handle` is the process, `ready` what it said when it was (None before), `code` what it runs, as attempts record it."""

    def __init__(self, spawn: Callable[[], TrainerHandle], engine: Engine, signals: Wishes, say: Say) -> None:
        self._spawn, self._engine, self._signals, self._say = spawn, engine, signals, say
        self.handle = spawn()
        self.ready: Ready | None = None
        self.code: dict[str, str | None] = {**identity()}

    def start(self) -> bool:
        """A trainer that is ready; False when a stop came between."""
        if self.handle.gone:
            self.handle.kill()
            self.handle, self.ready = self._spawn(), None
            self._look_up_code()
        if self.ready is None:
            self.code |= snapshots(self._engine)
            answer = self._answer(None)
            self.ready = answer if isinstance(answer, Ready) else None
        return self.ready is not None

    def load(self, dataset: str, share: float, sweep: str | None = None) -> Prepared | None:
        """Has a data set loaded; None when a stop came between. Raises UnloadableError where it cannot be, for jobs of this `sweep`."""
        try:
            answer = self._answer(Prepare(dataset, share))
        except UnknownDataError as error:
            raise (sweep and of_other_code(self._engine, sweep, self.code, str(error))) or error from None
        return answer if isinstance(answer, Prepared) else None

    def measure(self, order: Measure) -> Measured | None:
        """None when a stop came between, when such a job cannot run, or when the trainer did not survive it."""
        try:
            answer = self._answer(order)
        except SickNodeError as error:
            self._say(f"could not be measured: {str(error).splitlines()[-1]}")
            return None
        return answer if isinstance(answer, Measured) else None

    def _look_up_code(self) -> None:
        """A new trainer imports what lies in the checkout now, which may not be what lay there when the worker started."""
        now = identity()
        if any(self.code[part] != found for part, found in now.items()):
            self.code |= now
            self._say(f"the checkout changed: what trains from now on is code {named(now)}")

    def _answer(self, order: Prepare | Measure | None) -> Report | None:
        """What the trainer answers, None when a stop came between. Raises SickNodeError when it cannot or dies."""
        if order is not None:
            self.handle.tell(order)
        while not self._signals.stop:
            wait([*self.handle.waitable, self._signals.socket], timeout=POLL)
            self._signals.drain()
            for report in self.handle.hear():
                if isinstance(report, Failed):
                    if report.kind == "crash":  # after an error of CUDA no call of that process succeeds
                        self.handle.kill()
                        raise SickNodeError(report.traceback.rstrip())
                    raise _UNLOADABLE.get(report.kind, SickNodeError)(report.error)
                return report
            if self.handle.gone:
                raise SickNodeError(f"the trainer {self.handle.end} before it could train")
        return None
