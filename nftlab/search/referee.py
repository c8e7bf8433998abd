"""The referee of a worker: judges the jobs whose epochs were just recorded, by the pruner of their sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sqlalchemy import Engine

from nftlab.errors import SpecError
from nftlab.search.prune import Curve, behind, needed
from nftlab.spec import Metric, Pruner, pruner_of, rungs
from nftlab.store import Claim, EpochRow, curve
from nftlab.store.peers import Peer, peers


class Referee:
    """Knows the pruners of the sweeps whose jobs it has met."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rules: dict[str, tuple[Pruner, Metric] | None] = {}

    def meet(self, files: Mapping[str, str]) -> None:
        """Jobs of these sweeps are about to train; `files` are theirs by name, as they were launched last."""
        self._rules |= {name: _rule(source) for name, source in files.items()}

    def judge(self, rows: Sequence[tuple[Claim, EpochRow]]) -> list[tuple[Claim, str]]:
        """Those of the jobs that should end now, each with the reason; an epoch must be recorded before it is judged."""
        reached: dict[tuple[str, int, int], list[Claim]] = {}
        for claim, row in rows:
            rule = self._rules.get(claim.sweep)
            if rule and row.epoch in rungs(rule[0], row.epoch):
                reached.setdefault((claim.sweep, claim.seed, row.epoch), []).append(claim)
        why: dict[int, str] = {}
        for (sweep, _, epoch), claims in reached.items():
            why |= self._behind(sweep, claims, epoch)
        return [(claim, why[claim.job_id]) for claim, _ in rows if claim.job_id in why]

    def _behind(self, sweep: str, claims: Sequence[Claim], epoch: int) -> dict[int, str]:
        """Of jobs of one sweep and seed at the same rung those that should end, by id, and why."""
        rule = self._rules[sweep]
        assert rule is not None
        pruner, metric = rule
        others = peers(self._engine, sweep, claims[0].seed, needed(pruner, epoch))
        place = {peer.job_id: number for number, peer in enumerate(others)}
        curves = [_curve(peer, metric.name) for peer in others]
        claims = [claim for claim in claims if claim.job_id in place]  # others were deleted since they were recorded
        for claim in claims:
            whole = {point["epoch"]: point.get(metric.name, math.nan) for point in curve(self._engine, claim.job_id)}
            curves[place[claim.job_id]] = Curve(whole, curves[place[claim.job_id]].at)
        fallen = behind(pruner, metric.goal, curves, [place[claim.job_id] for claim in claims], epoch)
        return {claim.job_id: f"{pruner.name}: behind at epoch {epoch}" for claim in claims if place[claim.job_id] in fallen}


def _curve(peer: Peer, metric: str) -> Curve:
    values = {epoch: point.get(metric, math.nan) for epoch, point in peer.values.items()}
    return Curve(values, peer.at, peer.state == "done")


@lru_cache(maxsize=64)
def _rule(source: str) -> tuple[Pruner, Metric] | None:
    if "pruner" not in source and "early_terminate" not in source:
        return None  # nearly all sweeps: no need to read YAML for them
    try:
        return pruner_of(source)
    except SpecError:  # of another nftlab: nothing is pruned by what cannot be read
        return None
