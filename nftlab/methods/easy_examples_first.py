"""EEF, easy examples first: the baseline that the NFT paper names without defining it (inferred, docs/papers/nft.md).

Early in training the classifier learns only from the examples that it finds easiest: those of lowest cross-entropy, in
eval mode, by the labels of training. The share κ that is kept grows from kappa_0 to 1 as friendly training's
perturbation fades: κ = κ₀ + (1 − κ₀)(1 − strength). `scope: batch` ranks each batch and keeps ⌈κ·b⌉ of it; `scope: epoch`
ranks the training set as the epoch begins and keeps ⌊κ·n⌋, in fewer batches, κ changing by the epoch.

The kept keep their order, equals in loss go by position, and never fewer than two are kept: a single example is no batch
to BatchNorm.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from torch import Tensor

from nftlab.hypers import Hypers
from nftlab.methods.base import Method, Nets, Numbers, Pass, Plan, bounds, cross_entropies
from nftlab.methods.schedule import Schedule

_FEWEST = 2


class EasyExamplesFirst(Method):
    """`how` of a step is the number of examples that are kept of its batch, 0 when all are."""

    def __init__(self, hypers: Hypers, features: int, examples: int) -> None:
        super().__init__(hypers, features, examples)
        self._sizes = [stop - start for start, stop in bounds(examples, hypers.batch_size)]

    def altered(self, h: Any, steps: int) -> int:
        return self._schedule(h, steps).epochs

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        fading = self._schedule(h, steps)
        if not fading.on(epoch):
            return super().plan(h, epoch, steps)
        if h.scope == "epoch":
            share = self._share(h, fading.strength(epoch))
            kept = min(max(_FEWEST, floor(share * self.examples)), self.examples)
            passed = Pass("classifier", (0,) * len(bounds(kept, h.batch_size)), kept=kept if kept < self.examples else None)
            return Plan((passed,), False, {"eef/kept": share})
        shares = [self._share(h, fading.strength(epoch, step)) for step in range(steps)]
        kepts = [max(_FEWEST, ceil(share * size)) for share, size in zip(shares, self._sizes, strict=True)]
        how = [kept if kept < size else 0 for kept, size in zip(kepts, self._sizes, strict=True)]
        return Plan((Pass("classifier", how),), not fading.on(epoch, steps - 1), {"eef/kept": shares[-1]})

    def score(self, nets: Nets, x: Tensor, y: Tensor, notes: Numbers) -> Tensor:
        return self._losses(nets, x, y)

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        kept = self._losses(nets, x, y).argsort(stable=True)[:how].sort()[0]
        return x[kept], y[kept]

    @staticmethod
    def _losses(nets: Nets, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropies(nets["classifier"](x, train=False), y)

    @staticmethod
    def _schedule(h: Any, steps: int) -> Schedule:
        return Schedule(h.ratio_simp if h.kappa_0 < 1 else 0.0, h.epochs, 1 if h.scope == "epoch" else steps, h.scaling)

    @staticmethod
    def _share(h: Any, strength: float) -> float:
        return float(h.kappa_0 + (1 - h.kappa_0) * (1 - strength))
