"""What a tracker is told, and what it must answer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Say = Callable[[str], None]  # one line for the user, on stderr


@dataclass(frozen=True)
class TrackedJob:
    """One job as trackers name it. `config` is without the seed; `history` is the curve that earlier attempts recorded: (epoch, values).

    `project` and `entity` are what the sweep's file says of where curves go.
    """

    key: str
    sweep: str
    trial_key: str
    seed: int
    config: Mapping[str, Any]
    sha: str | None = None
    history: tuple[tuple[int, Mapping[str, float]], ...] = ()
    project: str | None = None
    entity: str | None = None

    @property
    def name(self) -> str:
        """What people read in a list of runs: `ct-fc-a-digits-1f2e3d-s0`."""
        parts = [str(self.config.get(field, "")) for field in ("algorithm", "network", "dataset")]
        return "-".join([*parts, self.trial_key[:6], f"s{self.seed}"])


class Tracker(Protocol):
    """Where one job's curve goes. Errors are percent, epochs count from 1."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """One epoch of the curve."""

    def close(self, summary: Mapping[str, Any] | None, exit_code: int) -> None:
        """The end of this attempt: 0 done, 1 failed, 75 handed back (`summary` is None unless the job is done)."""
