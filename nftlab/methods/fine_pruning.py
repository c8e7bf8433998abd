"""Data fine-pruning (Li, He, Ren, Mao, NPC 2018; docs/papers/fine-pruning.md): examples that are dropped for a while.

Every step counts which examples of its batch cost more than the others: those with a loss above the batch's mean times
1 + tolerance. Counts are kept over a window of epochs and begin again with it. Late in a window, in some epochs of each
block, the examples of highest count are left out; of equal counts those that the epoch's shuffle draws last.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nftlab.methods.base import Method, Nets, Numbers, Pass, Plan, bounds

COUNT = "dropping"


class FinePruning(Method):
    """The counts are notes; `keeps` is 0 in the steps of an epoch in which they begin again, else 1."""

    notes = (COUNT,)

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        anew = epoch % h.window == 0
        # a single example is no batch to BatchNorm
        left_out = min(round(h.prune_share * self.examples), max(0, self.examples - 2)) if h.prunes(epoch) else 0
        steps = len(bounds(self.examples - left_out, h.batch_size)) if left_out else steps
        numbers = {"keeps": (0.0 if anew else 1.0,) * steps, "tolerance": (h.tolerance,) * steps}
        kept = self.examples - left_out if left_out else None
        values = {"fine-pruning/kept": (self.examples - left_out) / self.examples}
        return Plan((Pass("classifier", (0,) * steps, numbers, kept=kept, shuffled_ties=True),), values=values)

    def score(self, nets: Nets, x: Tensor, y: Tensor, notes: Numbers) -> Tensor:
        return notes[COUNT]

    def observe(self, notes: Numbers, losses: Tensor, numbers: Numbers) -> Numbers:
        dear = losses > losses.mean() * (1 + numbers["tolerance"])
        return {COUNT: numbers["keeps"] * notes[COUNT] + dear.to(losses.dtype)}
