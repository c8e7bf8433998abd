"""FT, friendly training (Marullo et al. 2021, arXiv 2106.10974, as its published code does it).

Early in training every example x is shown as x + δ: δ starts from 0 at every batch and follows the plain gradient that
lowers the classifier's loss, for fewer and fewer iterations as training goes on. An example that the classifier gets
right, confidently enough, keeps its δ of the moment. The loss is the mean over those that were still moving when the
iteration began, so an example's step is step_simp divided by their number.

The published code reorders a batch, examples that rest first. Here they keep their places: the gradient is the same sum,
only masks of dropout meet other examples and sums are taken in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nftlab.methods.base import Method, Nets, Numbers, Pass, Plan, cross_entropies, slope, winners
from nftlab.methods.schedule import Schedule


class Friendly(Method):
    """Before the classifier's step, as many iterations (`how`) on the batch as the schedule allows."""

    def altered(self, h: Any, steps: int) -> int:
        return self._schedule(h, steps).epochs

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        fading = self._schedule(h, steps)
        if not fading.on(epoch):
            return super().plan(h, epoch, steps)
        how = [int(h.iterations_simp * fading.strength(epoch, step)) for step in range(steps)]
        numbers = {"step": (h.step_simp,) * steps, "confidence": (h.conf_thres,) * steps}
        values = {"ft/strength": fading.strength(epoch, steps - 1), "ft/iterations": float(how[-1])}
        return Plan((Pass("classifier", how, numbers),), not fading.on(epoch, steps - 1), values)

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        def loss(x: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
            logits = nets["classifier"](x, train=False)
            return (cross_entropies(logits, y) * moving).sum() / moving.sum().clamp(min=1), logits

        moving = torch.ones_like(y, dtype=x.dtype)
        for _ in range(how):
            gradient, logits = slope(loss, x, moving)
            moving = moving * self._hard(logits, y, numbers["confidence"])
            x = x - numbers["step"] * gradient * moving.view(-1, *(1 for _ in x.shape[1:]))
        return x, y

    @staticmethod
    def _hard(logits: Tensor, y: Tensor, confidence: Tensor) -> Tensor:
        """Which examples (b,) the classifier gets wrong, or right without confidence."""
        confident = logits.softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1) > confidence
        return (winners(logits).ne(y) | ~confident).to(logits.dtype)

    @staticmethod
    def _schedule(h: Any, steps: int) -> Schedule:
        return Schedule(h.ratio_simp if h.iterations_simp else 0.0, h.epochs, steps, h.scaling)
