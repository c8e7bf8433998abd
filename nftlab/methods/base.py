"""What a training method is: a file that says only what differs from classic training, for ONE trial.

The training loop trains many trials ("lanes") as one program; a method cannot tell. It has two halves:

* `networks` and `plan` run on the host with one lane's hyper-parameters and plain Python numbers. The plan of an epoch
  lists its passes over the training set: which network each moves and, batch by batch, `how` (a whole number that
  may change shapes and control flow: on or off, a count of kept examples, of inner iterations) and `numbers` (what only
  scales: weights, strengths). Lanes whose plans agree in everything but the numbers are trained together.
* `present`, `tutor`, `score` and `observe` are tensor code for one batch (b, …) of one lane, mapped over the lanes by torch.func.vmap:
  no Python `if` on a tensor, no `.item()`, no boolean indexing, no random numbers. In them `self.h` has the static
  hyper-parameters only; all that may differ between lanes comes in `numbers` as 0-d tensors. Networks are called as
  `nets["classifier"](x, masks, train=True)`; without masks nothing is dropped.

What a method remembers of each training example from batch to batch and epoch to epoch it names in `notes`: numbers that
are 0 at first, are handed to `score` and `observe`, and belong to the lane as its weights do, in checkpoints too.

To add a method: its hyper-parameters in nftlab/hypers.py, its file here, its line in `METHODS`. The contract tests
(alone equals in a pack, resumed equals uninterrupted) pick it up from there. Examples of what fits: a second network
(neural_friendly.py), examples left out (easy_examples_first.py), the input moved along its gradient (friendly.py),
examples remembered (fine_pruning.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_batchedtensor, is_functorch_wrapped_tensor

from nftlab.configuration import static_of
from nftlab.hypers import Hypers

Nets = Mapping[str, Callable[..., Tensor]]
Numbers = Mapping[str, Tensor]


@dataclass(frozen=True)
class Network:
    """A network that a method trains beside the classifier: which (a key of train.simplifiers.SIMPLIFIERS) and Adam's settings."""

    kind: str
    lr: float
    weight_decay: float


@dataclass(frozen=True)
class Pass:
    """One pass over the freshly shuffled training set; `how` and each of `numbers` have one entry per batch.

    `trains` is the network that moves: "classifier" (the loop's own step; `present` is asked where `how` is not 0, else
    the batch is shown as it is and only the classifier runs) or one of `Method.networks` (the method's `tutor`).
    `stream` names the pass's own random numbers: passes of an epoch must differ in it. Without `dropout` no masks are drawn.
    With `kept` the pass is over so many examples only, those of lowest `Method.score` as the pass begins, of equals the first in
    the set or, with `shuffled_ties`, the first drawn; it then has as many batches as `bounds(kept, batch_size)`.
    """

    trains: str
    how: Sequence[int]
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    stream: str = ""
    dropout: bool = True
    kept: int | None = None
    shuffled_ties: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        """What lanes must have in common to run this pass as one program."""
        return self.trains, tuple(self.how), tuple(self.numbers), self.stream, self.dropout, self.kept, self.shuffled_ties


@dataclass(frozen=True)
class Plan:
    """One epoch: its passes in order, whether the epoch may be selected by validation, and values to log with it."""

    passes: tuple[Pass, ...]
    eligible: bool = True
    values: Mapping[str, float] = field(default_factory=dict)


class Method:
    """Classic behaviour in every respect; a method overrides what it changes."""

    notes: ClassVar[tuple[str, ...]] = ()  # names of the numbers that it keeps of each training example

    def __init__(self, hypers: Hypers, features: int, examples: int) -> None:
        self.h: Any = SimpleNamespace(**static_of(hypers))
        self.features, self.examples = features, examples  # numbers per example, examples of the training set

    def networks(self, h: Any) -> dict[str, Network]:
        """The networks trained beside the classifier, by the names under which `nets` will have them."""
        return {}

    def plan(self, h: Any, epoch: int, steps: int) -> Plan:
        """What happens in an epoch (1-based) of `steps` batches."""
        return Plan((Pass("classifier", (0,) * steps),))

    def altered(self, h: Any, steps: int) -> int:
        """How many epochs, from the first, train on something else than the data: `lr_schedule: refine` waits for them."""
        return 0

    def score(self, nets: Nets, x: Tensor, y: Tensor, notes: Numbers) -> Tensor:
        """Of each example (b,), for passes over the lowest only; networks are to be called with `train=False`, `notes` are (b,) each."""
        raise TypeError(f"{type(self).__name__} plans a pass over some of the examples but does not score them")

    def observe(self, notes: Numbers, losses: Tensor, numbers: Numbers) -> Numbers:
        """The notes (b,) of the examples of a classifier's step after it, by their cross-entropies (b,) in its forward pass.

        Of all that were drawn: a method that takes notes may not leave examples out in `present`.
        """
        raise TypeError(f"{type(self).__name__} has notes but does not take any")

    def present(self, nets: Nets, x: Tensor, y: Tensor, how: int, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """What the classifier is shown in place of (x, y); no gradient flows through it."""
        return x, y

    def tutor(
        self, nets: Nets, x: Tensor, y: Tensor, masks: Sequence[Tensor], how: int, numbers: Numbers
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar objective of a pass that trains another network, and means over the batch to log by name."""
        raise TypeError(f"{type(self).__name__} plans a pass for another network than the classifier but has no tutor")


def mapped(x: Tensor) -> bool:
    """Whether a tensor is mapped over lanes, also where a gradient is taken inside the map."""
    while is_functorch_wrapped_tensor(x):
        if is_batchedtensor(x):
            return True
        x = get_unwrapped(x)
    return False


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy (b,) of logits (b, classes) against labels (b,).

    Written out: mapped, torch's own runs through a decomposition in Python, seconds to import and slower at every step.
    On a GPU `logsumexp` is eight kernels and `log_softmax` one; on a CPU it is the faster of the two.
    """
    if logits.is_cuda:
        return -logits.log_softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    return logits.logsumexp(-1) - logits.gather(-1, y.unsqueeze(-1)).squeeze(-1)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Their mean; of a lane alone on a GPU by torch's own, which is half as many kernels."""
    return F.cross_entropy(logits, y) if logits.is_cuda and not mapped(logits) else cross_entropies(logits, y).mean()


def slope(function: Callable[..., tuple[Tensor, Tensor]], x: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with respect to x of the first of the two that `function(x, *others)` gives, and the second.

    `torch.func.grad` where lanes are mapped; autograd's own is faster where they are not.
    """
    if mapped(x):
        return torch.func.grad(function, has_aux=True)(x, *others)
    with torch.enable_grad():
        free = x.detach().requires_grad_()
        value, more = function(free, *others)
        (gradient,) = torch.autograd.grad(value, free)
    return gradient, more.detach()


def winners(logits: Tensor) -> Tensor:
    """The class (b,) of the largest of logits (b, classes); copied first, since along a strided axis it takes ten times as long."""
    return logits.contiguous().argmax(-1)


def bounds(examples: int, batch_size: int) -> list[tuple[int, int]]:
    """(start, stop) of each batch of a pass; a last batch of a single example joins the one before it."""
    edges = [*range(0, examples, batch_size), examples]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    return list(pairwise(edges))
