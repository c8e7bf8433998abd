"""The referee of a worker: judges the jobs whose epochs were just recorded, by the pruner of their sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from sqlalchemy import Engine

from nftlab.search.prune import Curve, behind, needed, rungs
from nftlab.spec import Metric, Pruner, pruner_of
from nftlab.store import Claim, EpochRow, curve
from nftlab.store.peers import Peer, peers, sources


class Referee:
    """Knows the pruners of the sweeps whose jobs it has met."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rules: dict[str, tuple[Pruner, Metric] | None] = {}

    def meet(self, claims: Iterable[Claim]) -> None:
        """Jobs are about to train: their sweeps' files are read, as they were launched last."""
        names = {claim.sweep for claim in claims}
        self._rules |= {name: _rule(source) for name, source in sources(self._engine, names).items()}

    def judge(self, rows: Sequence[tuple[Claim, EpochRow]]) -> list[tuple[Claim, str]]:
        """Those of the jobs that should end now, each with the reason; an epoch must be recorded before it is judged."""
        found = []
        for claim, row in rows:
            rule = self._rules.get(claim.sweep)
            if rule and row.epoch in rungs(rule[0], row.epoch) and self._behind(*rule, claim, row.epoch):
                found.append((claim, f"{rule[0].name}: behind at epoch {row.epoch}"))
        return found

    def _behind(self, pruner: Pruner, metric: Metric, claim: Claim, epoch: int) -> bool:
        others = peers(self._engine, claim.sweep, claim.seed, needed(pruner, epoch))
        mine = [peer.job_id for peer in others].index(claim.job_id)
        curves = [_curve(peer, metric.name) for peer in others]
        whole = {point["epoch"]: point.get(metric.name, math.nan) for point in curve(self._engine, claim.job_id)}
        curves[mine] = Curve(whole, curves[mine].at)
        return behind(pruner, metric.goal, curves, mine, epoch)


def _curve(peer: Peer, metric: str) -> Curve:
    values = {epoch: point.get(metric, math.nan) for epoch, point in peer.values.items()}
    return Curve(values, peer.at, peer.state == "done")


@lru_cache(maxsize=64)
def _rule(source: str) -> tuple[Pruner, Metric] | None:
    if "pruner" not in source and "early_terminate" not in source:
        return None  # nearly all sweeps: no need to read YAML for them
    return pruner_of(source)
