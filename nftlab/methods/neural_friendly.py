"""NFT, neural friendly training (Marullo et al., AAAI 2022; METHODS.md 2.2).

Early in training the classifier is shown s(x) instead of x: a second network s, the simplifier, makes examples easier
for the classifier of the moment, while a growing penalty η on ‖δ‖² = ‖s(x) − x‖² holds it to the data, until it is
dropped. What the paper writes and what its code does differ; every difference is a hyper-parameter and `mode` a preset.
The simplifier always runs in train mode: batch statistics, running statistics updated and never read.

In the code, passes of the simplifier after an epoch's first (`iterations_simp` > 1) find the classifier in eval mode,
because validation in between put it there; `clf_in_simp: train` means the same here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nftlab.methods.base import Method, Nets, Network, Numbers, Pass, Plan, cross_entropy

SHOW_SIMPLIFIED = 1  # `how` of a classifier step: the simplifier speaks
CLASSIFIER_IN_EVAL, CLASSIFIER_IN_TRAIN = 0, 1  # `how` of a simplifier step


class Schedule:
    """When data are simplified and how strongly: strength 1 → 0, per step as the code has it or per epoch (Eq. 5)."""

    def __init__(self, h: Any, steps: int) -> None:
        self._per_step, self._power = h.schedule == "step", 2 if h.scaling == "quadratic" else 1
        self._steps = steps
        # the paper's first and last epoch have a formula only if they differ; shorter schedules simplify nothing
        self.length = int(h.ratio_simp * h.epochs * steps) if self._per_step else int(h.ratio_simp * h.epochs)
        if not self._per_step and self.length <= 1:
            self.length = 0

    def on(self, epoch: int, step: int) -> bool:
        """Is the batch (`step` from 0) of the epoch (from 1) simplified?"""
        return ((epoch - 1) * self._steps + step if self._per_step else epoch - 1) < self.length

    def strength(self, epoch: int, step: int) -> float:
        """1 at the start, falling to 0; η is eta_max · (1 − strength)."""
        if not self.length:
            return 0.0
        done = ((epoch - 1) * self._steps + step) / self.length if self._per_step else (epoch - 1) / (self.length - 1)
        return max(1 - done, 0.0) ** self._power


class NeuralFriendly(Method):
    """Two passes per epoch while the schedule lasts, one for each network; classic training after it."""

    def networks(self, h: Any) -> dict[str, Network]:
        return {"simplifier": Network(h.simplifier, h.lr_simp, h.wd_simp)}

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        schedule = Schedule(h, steps)
        on = [schedule.on(epoch, step) for step in range(steps)]
        identity = epoch == 1 and h.first_epoch == "identity"
        learn = Pass("classifier", [SHOW_SIMPLIFIED if lit and not identity else 0 for lit in on])
        eligible = h.eligible == "all" or not on[-1]
        first = h.phase_order == "simplifier-first"
        # the simplifier moves before the classifier looks (not for an epoch of raw data), or after it if it is still wanted
        if not (on[0] and not identity if first else on[-1]):
            return Plan((learn,), eligible)
        strength = schedule.strength(epoch, 0 if first else steps - 1)
        eta = h.eta_max * (1 - strength)
        if h.penalty == "doubled-mse":  # MSE is a mean over features too, and the code adds it twice
            eta *= 2 / self.features
        passes = [self._tutoring(h, iteration, eta, steps) for iteration in range(h.iterations_simp)]
        return Plan((*passes, learn) if first else (learn, *passes), eligible, {"nft/strength": strength, "nft/eta": eta})

    def _tutoring(self, h: Any, iteration: int, eta: float, steps: int) -> Pass:
        train = h.clf_in_simp == "train" and iteration == 0
        how = CLASSIFIER_IN_TRAIN if train else CLASSIFIER_IN_EVAL
        return Pass("simplifier", (how,) * steps, {"eta": (eta,) * steps}, stream=f"simplifier-{iteration + 1} ", dropout=train)

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        return nets["simplifier"](x, y, train=True), y

    def tutor(
        self, nets: Nets, x: Tensor, y: Tensor, masks: Sequence[Tensor], how: int, numbers: Numbers
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 4: cross-entropy on the simplified batch plus η times the mean squared norm of the perturbation."""
        simplified = nets["simplifier"](x, y, train=True)
        logits = nets["classifier"](simplified, masks, train=how == CLASSIFIER_IN_TRAIN)
        delta = (simplified - x).flatten(1).square().sum(1).mean()
        return cross_entropy(logits, y) + numbers["eta"] * delta, {"nft/delta": delta}
