"""What a table or figure asks for, and how much of it the job table has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nftlab import store
from nftlab.papers.manifest import Item
from nftlab.papers.scale import scaled
from nftlab.resources import find_sweep
from nftlab.spec import Sweep, load

if TYPE_CHECKING:
    from sqlalchemy import Engine


NOT_MEASURED = "not measured yet"  # what a file may tell of its cost instead


@dataclass(frozen=True)
class SweepPlan:
    """A sweep of an item: its file as users name it, the cost that the file tells of, how many jobs, and their states if launched.

    Of a sweep that asked for other runs before only those count that it asks for now.
    """

    sweep: Sweep
    file: str
    cost: str
    jobs: int
    states: Mapping[str, int]

    @property
    def done(self) -> int:
        """How many jobs have ended as they should, pruned ones among them."""
        return self.states.get("done", 0) + self.states.get("pruned", 0)

    @property
    def measured(self) -> bool:
        """Whether the file tells what its jobs cost."""
        return self.cost not in ("", NOT_MEASURED)

    @property
    def to_launch(self) -> bool:
        """Whether a launch would add anything; a search that was launched proposes what is absent by itself."""
        return not self.states or (self.sweep.search is None and self._absent > 0)

    @property
    def waits(self) -> bool:
        """Whether there is work for a worker, once nothing is to be launched."""
        return self._absent + self.states["queued"] + self.states["running"] > 0

    @property
    def _absent(self) -> int:
        return self.jobs - sum(self.states.values())


def item_sweeps(item: Item, scale: float = 1.0) -> dict[str, Sweep]:
    """The sweeps of a table or figure by file, scaled down below scale 1. Raises NotFoundError, SpecError and UsageError."""
    files = {f"sweeps/{name}.yaml": find_sweep(f"sweeps/{name}.yaml") for name in item.sweeps}
    return {file: scaled(load(path), scale) for file, path in files.items()}


def planned(item: Item, engine: Engine | None, scale: float = 1.0) -> list[SweepPlan]:
    """What an item asks for, sweep by sweep; without a database nothing of it is launched."""
    launched = {sweep["name"] for sweep in store.launched(engine)} if engine is not None else set()
    return [
        SweepPlan(
            sweep,
            file,
            told_cost(sweep) if scale == 1 else "",
            sweep.asked * len(sweep.seeds),
            _states(sweep, engine) if engine is not None and sweep.name in launched else {},
        )
        for file, sweep in item_sweeps(item, scale).items()
    ]


def _states(sweep: Sweep, engine: Engine) -> dict[str, int]:
    asked = {(trial.key, seed) for trial in sweep.trials for seed in sweep.seeds}
    found = [state for run, state in store.states(engine, sweep.name) if sweep.search or run in asked]
    return {state: found.count(state) for state in store.STATES}


def told_cost(sweep: Sweep) -> str:
    """What the file's first comment says of its cost; empty if nothing."""
    found = re.search(r"^# cost: (.*)$", sweep.source, flags=re.MULTILINE)
    return found[1].strip() if found else ""
