"""NFT, neural friendly training (Marullo et al., AAAI 2022; docs/papers/nft.md).

Early in training the classifier is shown s(x) instead of x: a second network s, the simplifier, makes examples easier
for the classifier of the moment, while a growing penalty η on ‖δ‖² = ‖s(x) − x‖² holds it to the data, until it is
dropped. What the paper writes and what its code does differ; every difference is a hyper-parameter and `mode` a preset.
The simplifier always runs in train mode: batch statistics, running statistics updated and never read.

In the code, passes of the simplifier after an epoch's first (`iterations_simp` > 1) find the classifier in eval mode,
because validation in between put it there; `clf_in_simp: train` means the same here. Its `acc_thres`, unset in every
published command, ends such passes by a validation accuracy, which only the host could decide: there is no such field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nftlab.methods.base import Method, Nets, Network, Numbers, Pass, Plan, cross_entropy
from nftlab.methods.schedule import PaperSchedule, Schedule

SHOW_SIMPLIFIED = 1  # `how` of a classifier step: the simplifier speaks
CLASSIFIER_IN_EVAL, CLASSIFIER_IN_TRAIN = 0, 1  # `how` of a simplifier step


def schedule(h: Any, steps: int) -> Schedule:
    """The paper's or the code's; η is eta_max · (1 − strength)."""
    if h.schedule == "epoch":
        return PaperSchedule(h.ratio_simp, h.epochs, h.scaling)
    return Schedule(h.ratio_simp, h.epochs, steps, h.scaling)


class NeuralFriendly(Method):
    """Two passes per epoch while the schedule lasts, one for each network; classic training after it."""

    def networks(self, h: Any) -> dict[str, Network]:
        return {"simplifier": Network(h.simplifier, h.lr_simp, h.wd_simp)}

    def altered(self, h: Any, steps: int) -> int:
        return schedule(h, steps).epochs

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        fading = schedule(h, steps)
        on = [fading.on(epoch, step) for step in range(steps)]
        identity = epoch == 1 and h.first_epoch == "identity"
        learn = Pass("classifier", [SHOW_SIMPLIFIED if lit and not identity else 0 for lit in on])
        eligible = h.eligible == "all" or not on[-1]
        first = h.phase_order == "simplifier-first"
        # the simplifier moves before the classifier looks (not for an epoch of raw data), or after it if it is still wanted
        if not (on[0] and not identity if first else on[-1]):
            return Plan((learn,), eligible)
        strength = fading.strength(epoch, 0 if first else steps - 1)
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
