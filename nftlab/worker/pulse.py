"""A trainer's signs of progress, and how long a silence is a hang."""

from __future__ import annotations

import statistics
import time
from collections import deque

STALLED = 600.0  # seconds, at least


class Pulse:
    """`stalled_after`: seconds of silence that are a hang; None: the larger of 10 minutes and five median epochs."""

    def __init__(self, stalled_after: float | None) -> None:
        self._asked = stalled_after
        self.heard = self._epoch_began = time.monotonic()
        self._walls: deque[float] = deque(maxlen=99)  # seconds of the pack's last epochs

    def feel(self) -> None:
        """There was a sign."""
        self.heard = time.monotonic()

    def epoch(self) -> None:
        """An epoch was heard of."""
        self._walls.append(self.heard - self._epoch_began)
        self._epoch_began = self.heard

    @property
    def young(self) -> bool:
        """Whether there was no epoch yet."""
        return not self._walls

    @property
    def stalled_after(self) -> float:
        """Seconds without a sign of progress that count as a hang."""
        return self._asked or max(STALLED, 5 * statistics.median(self._walls or [0.0]))
