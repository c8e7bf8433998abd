"""What the job table is still to be told while it is away, and when to try it again.

Kept in memory. A file would be of no use to the next worker: by the time that one runs the leases are over, others have the jobs, and the
tokens in the file are stale. A worker that dies in an outage loses time, not results: the epochs that the table does not know are trained
again, from the last checkpoint that it knows, to the same bits. The memory is bounded by what the jobs held have left to train.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable

from nftlab.errors import OutageError
from nftlab.store import Queue
from nftlab.track import Say

FIRST = 0.5  # seconds until the first new try; doubled up to a twelfth of the lease, each give or take a half
# Of a lease: so long a worker that starts takes nothing back. Others, whose leases lapsed in an outage, may be waiting for its end.
NEWCOMER = 1 / 6


class Outage:
    """Whether the job table answers, as a worker sees it."""

    def __init__(self, queue: Queue, say: Say) -> None:
        self._queue, self._say = queue, say
        self.error: OutageError | None = None  # what the last try said; None while the table answers
        self.began = 0.0  # on the monotonic clock, as all times here
        self._next = 0.0
        self._pause = FIRST

    @property
    def lasted(self) -> float:
        """Seconds that the table has been away; 0 while it answers."""
        return time.monotonic() - self.began if self.error else 0.0

    @property
    def rest(self) -> float:
        """Seconds until the table is to be tried again; 0 while it answers."""
        return max(0.0, self._next - time.monotonic()) if self.error else 0.0

    def note(self, error: OutageError) -> None:
        """A call was not answered."""
        now = time.monotonic()
        if self.error is None:
            self.began, self._pause = now, FIRST
            self._say(f"{error.args[0]}: trying again")
        self.error = error
        self._queue.pardon()
        self._next = now + self._pause * random.uniform(0.5, 1.5)  # so that workers do not come back all at once
        self._pause = min(2 * self._pause, NEWCOMER / 2 * self._queue.lease)

    def over(self) -> None:
        """A call was answered."""
        if self.error is not None:
            self._say(f"the job table answers again after {self.lasted:.0f} s")
            self.error = None


class Spool:
    """Deeds on the job table in order, each done once: at once while the table answers, else when it answers again.

    A deed that ends in OutageError is done again from its start, so what it does before its last call to the table must bear repeating.
    """

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._deeds: deque[Callable[[], object]] = deque()
        self._working = False

    @property
    def empty(self) -> bool:
        """Whether everything is done."""
        return not self._deeds

    def put(self, deed: Callable[[], object]) -> None:
        """Does the deed, now or when its turn comes; one that is put by a deed comes after all the others."""
        self._deeds.append(deed)
        self.work_off()

    def work_off(self) -> None:
        """Does what can be done now. Raises what a deed raises, except OutageError."""
        if self._working or self._outage.rest:
            return
        self._working = True
        try:
            while self._deeds:
                self._deeds[0]()
                self._deeds.popleft()
                self._outage.over()
        except OutageError as error:
            self._outage.note(error)
        finally:
            self._working = False
