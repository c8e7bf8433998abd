"""When the data are altered and how strongly: from strength 1 at the start of training to 0 (docs/papers/nft.md)."""

from __future__ import annotations

_POWERS = {"linear": 1, "quadratic": 2}


class Schedule:
    """Fades step by step over the first `length` = int(ratio · epochs · steps) steps of training, as the published code has it."""

    def __init__(self, ratio: float, epochs: int, steps: int, scaling: str) -> None:
        self.length = int(ratio * epochs * steps)
        self._steps, self._power = steps, _POWERS[scaling]

    def on(self, epoch: int, step: int = 0) -> bool:
        """Is the batch (`step` from 0) of the epoch (from 1) altered?"""
        return (epoch - 1) * self._steps + step < self.length

    def strength(self, epoch: int, step: int = 0) -> float:
        """How strongly, 0 where it is not."""
        return self._faded(((epoch - 1) * self._steps + step) / self.length) if self.length else 0.0

    @property
    def epochs(self) -> int:
        """The first so many epochs have a batch that is altered."""
        return -(-self.length // self._steps)

    def _faded(self, done: float) -> float:
        return max(1 - done, 0.0) ** self._power


class PaperSchedule(Schedule):
    """Fades epoch by epoch, from 1 in the first to 0 in the last that is altered (Marullo et al. 2022, Eq. 5)."""

    def __init__(self, ratio: float, epochs: int, scaling: str) -> None:
        super().__init__(ratio, epochs, 1, scaling)
        if self.length == 1:  # the formula needs a first and a last epoch: a shorter schedule alters nothing
            self.length = 0

    def on(self, epoch: int, step: int = 0) -> bool:
        """Is the epoch altered?"""
        return super().on(epoch)

    def strength(self, epoch: int, step: int = 0) -> float:
        """How strongly."""
        return self._faded((epoch - 1) / (self.length - 1)) if self.length else 0.0
