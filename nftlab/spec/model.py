"""What a sweep file means: trials, seeds and the keys that name them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nftlab.configuration import brief, config_of, static_of
from nftlab.hypers import Hypers

if TYPE_CHECKING:
    from nftlab.spec.choosers import Pruner
    from nftlab.spec.space import Search

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Metric:
    """The curve a sweep is about, and whether `minimize` or `maximize` is better."""

    name: str = "val/error"
    goal: str = "minimize"


@dataclass(frozen=True)
class Trial:
    """One configuration without its seed: every field, typed, in declaration order.

    `key` names the configuration, `pack_key` what it must share with others to train as one program with them.
    """

    config: dict[str, Any]
    key: str
    pack_key: str


@dataclass(frozen=True)
class Sweep:
    """One sweep file, expanded; `source` is its text, `path` where it was read.

    `notes` tell what expansion did (parameters dropped, points that became equal by it); `duplicates` counts points that are the
    same configuration although the file writes them differently. With a `search` there are no trials yet: a sampler proposes
    them while others train. `pruner`: what ends jobs early, None: nothing does.
    """

    name: str
    method: str
    metric: Metric
    trials: tuple[Trial, ...]
    seeds: tuple[int, ...]
    priority: int = 0
    retries: int = 3
    source: str = ""
    path: str = ""
    notes: tuple[str, ...] = ()
    duplicates: int = 0
    search: Search | None = None
    pruner: Pruner | None = None

    @property
    def asked(self) -> int:
        """The trials that the file asks for, proposed already or not."""
        return self.search.run_cap if self.search else len(self.trials)

    @property
    def epochs(self) -> int:
        """The most epochs that a job of the file trains."""
        return self.search.space.epochs if self.search else max(trial.config["epochs"] for trial in self.trials)

    def jobs(self) -> Iterator[tuple[str, Trial, int]]:
        """Every (job key, trial, seed) the file asks for, seeds varying fastest."""
        for trial in self.trials:
            for seed in self.seeds:
                yield job_key(self.name, trial.key, seed), trial, seed


def trial_of(hypers: Hypers) -> Trial:
    """The trial of a configuration that `configuration.build` accepted."""
    config = config_of(hypers)
    return Trial(config, _digest(brief(config)), _pack_key(tuple(brief(static_of(hypers)).items())))


def job_key(sweep_name: str, trial_key: str, seed: int) -> str:
    """The name of one row of the job table, 16 hexadecimal digits: the same trial in two sweeps is two jobs."""
    return _digest([sweep_name, trial_key, seed])


@functools.cache  # thousands of trials share a few
def _pack_key(static: tuple[tuple[str, Any], ...]) -> str:
    return _digest(dict(static))


def _digest(content: Any) -> str:
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()[:16]
