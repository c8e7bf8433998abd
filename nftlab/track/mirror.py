"""A worker's trackers in one background thread: training and the job table never wait for them, nor die of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any

from nftlab.track.job import Say, TrackedJob, Tracker
from nftlab.track.owed import Owed

Open = Callable[[TrackedJob, Say], Tracker]


class Mirror:
    """Copies curves to one tracker per job, in order, in the background.

    Every method but `shutdown` returns at once. A tracker that fails is dropped and its job goes on without it; what trackers have
    to say is said once. The thread starts with the first job and ends with `shutdown`; with `open` None there is nothing to do.
    `owed` notes which copies are not finished.
    """

    def __init__(self, open: Open | None, say: Say, close: Callable[[], None] = lambda: None, owed: Owed | None = None) -> None:
        self._opener, self._say, self._closer, self._owed = open, say, close, owed
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._open: dict[str, Tracker] = {}  # touched by the thread only
        self._thread: threading.Thread | None = None
        self._said: set[str] = set()
        self._started: Counter[str] = Counter()  # attempts by key; the note is the last one's to settle

    def start(self, job: TrackedJob) -> None:
        """Opens the tracker of a job that is about to train."""
        if self._opener is None:
            return
        if self._thread is None:
            # A daemon: a tracker that hangs (no network) must not keep the worker from leaving.
            self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
            self._thread.start()
        self._started[job.key] += 1
        if self._owed:
            self._owed.note(job.key)
        self._calls.put(partial(self._begin, self._opener, job))

    def log(self, key: str, epoch: int, values: Mapping[str, float]) -> None:
        """One epoch of a job's curve; of no effect for a job that was not started."""
        self._put(key, lambda tracker: tracker.log(epoch, values))

    def close(self, key: str, summary: Mapping[str, Any] | None, exit_code: int) -> None:
        """Ends a job's attempt: exit code 0 done, 1 failed, 75 handed back."""
        attempt = self._started[key]

        def end(tracker: Tracker) -> None:
            del self._open[key]
            tracker.close(summary, exit_code)
            if self._owed and self._started[key] == attempt:
                self._owed.settle(key)

        self._put(key, end)

    def shutdown(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds for everything said so far to be copied; False when some was left behind."""
        if self._thread is None:
            return True
        self._calls.put(self._closer)
        self._calls.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _begin(self, open: Open, job: TrackedJob) -> None:
        if self._owed:
            self._owed.take_over(job.key)
        self._open[job.key] = open(job, self._say_once)

    def _put(self, key: str, call: Callable[[Tracker], None]) -> None:
        if self._thread is not None:
            self._calls.put(lambda: self._on(key, call))

    def _on(self, key: str, call: Callable[[Tracker], None]) -> None:
        tracker = self._open.get(key)
        if tracker is None:
            return
        try:
            call(tracker)
        except Exception:
            self._open.pop(key, None)
            raise

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # whatever a tracker does, the worker goes on
                what = str(error).strip().partition("\n")[0]
                self._say_once(f"tracking stopped for a job ({type(error).__name__}: {what}); its curve is in the job table")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)
