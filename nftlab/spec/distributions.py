"""The distributions of W&B's sweep grammar: their arguments, their values on a grid and how one value is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

Number = int | float

BOUNDED = (
    "int_uniform",
    "uniform",
    "q_uniform",
    "log_uniform",
    "q_log_uniform",
    "inv_log_uniform",
    "log_uniform_values",
    "q_log_uniform_values",
    "inv_log_uniform_values",
)
_NORMAL: dict[str, Number] = {"mu": 0, "sigma": 1}
_BETA: dict[str, Number] = {"a": 1, "b": 1}
_STEP: dict[str, Number] = {"q": 1}
DEFAULTS: dict[str, dict[str, Number]] = {
    **{kind: _STEP if kind.startswith("q_") else {} for kind in BOUNDED},
    "normal": _NORMAL,
    "q_normal": _NORMAL | _STEP,
    "log_normal": _NORMAL,
    "q_log_normal": _NORMAL | _STEP,
    "beta": _BETA,
    "q_beta": _BETA | _STEP,
}
"""The optional arguments of every distribution; the bounded ones also need `min` and `max`."""


@dataclass(frozen=True)
class Range:
    """Where a sampler looks for a number, both ends included: evenly, by its logarithm, or in steps from `low`."""

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None

    def draw(self, rng: Random) -> Number:
        """One number at random."""
        if self.step is not None:
            return self.low + self.step * int(rng.random() * (round((self.high - self.low) / self.step) + 1))
        if self.log:
            return min(max(math.exp(_between(math.log(self.low), math.log(self.high), rng)), self.low), self.high)
        return _between(self.low, self.high, rng)


@dataclass(frozen=True)
class Distribution:
    """A distribution with all its arguments, as W&B defines it: `q_` rounds to multiples of q, also past min and max.

    `log_uniform` and `inv_log_uniform` take exponents of e; `inv_` is of 1/x; the `_values` forms take the values themselves.
    """

    kind: str
    args: dict[str, Number]

    @property
    def whole(self) -> bool:
        """Whether all values that are drawn are whole numbers."""
        return self.kind == "int_uniform" or ("q" in self.args and self.args["q"] == int(self.args["q"]))

    def count(self) -> int | None:
        """How many values a grid has, None when the distribution has no grid."""
        if self.kind == "int_uniform":
            return int(self.args["max"] - self.args["min"]) + 1
        if self.kind == "q_uniform":
            return math.ceil((_exact(self.args["max"]) - _exact(self.args["min"])) / _exact(self.args["q"]))
        return None

    def grid(self) -> Sequence[Number]:
        """The values of a grid, in rising order: min to max for int_uniform, min to below max in steps of q for q_uniform."""
        low, step = self.args["min"], self.args.get("q", 1)
        if isinstance(low, int) and isinstance(step, int):
            return [low + i * step for i in range(self.count() or 0)]
        return [float(_exact(low) + i * _exact(step)) for i in range(self.count() or 0)]

    def draw(self, rng: Random) -> Number:
        """One value; infinite where the arguments lead beyond the largest float."""
        try:
            return self.settle(_SAMPLERS[self.kind.removeprefix("q_")](self.args, rng))
        except OverflowError:
            return math.inf

    def range(self) -> Range:
        """Where a sampler looks: it learns what is likely, so of a normal only three sigmas to each side are taken, of beta 0 to 1."""
        kind, log = self.kind.removeprefix("q_"), "log" in self.kind
        if kind.endswith("normal"):
            low, high = (self.args["mu"] + side * self.args["sigma"] for side in (-3, 3))
        else:
            low, high = self.args.get("min", 0.0), self.args.get("max", 1.0)
        if log and not kind.endswith("_values"):
            low, high = (math.exp(-high), math.exp(-low)) if kind.startswith("inv_") else (math.exp(low), math.exp(high))
        if kind == "int_uniform":
            return Range(low, high, step=1)
        if "q" in self.args and not log:
            return Range(self.settle(low), self.settle(high), step=self.args["q"])
        return Range(float(low), float(high), log)

    def steps(self, most: int) -> list[Number] | None:
        """Every value that a sampler's answers stand for, in rising order; None where they are more than `most` or not in steps."""
        step = 1 if self.kind == "int_uniform" else self.args.get("q")
        if step is None:
            return None
        found = self.range()
        low, high = self.settle(found.low), self.settle(found.high)
        if (high - low) / step >= most:
            return None
        count = round((high - low) / step) + 1
        return [self.settle(low + i * step) for i in range(count)] if count <= most else None

    def settle(self, value: Number) -> Number:
        """The value that a drawn or suggested number stands for."""
        if "q" not in self.args:
            return value
        step = self.args["q"]
        if not math.isfinite(value / step):
            return value  # so large that no step moves it
        multiple = round(value / step)
        return multiple * step if isinstance(step, int) else float(multiple * _exact(step))


def _exact(number: Number) -> Decimal:
    return Decimal(repr(number))  # so that 3 × 0.1 is 0.3


def _between(low: float, high: float, rng: Random) -> float:
    return low + (high - low) * rng.random()


def _whole(args: dict[str, Number], rng: Random) -> int:
    low, count = int(args["min"]), int(args["max"]) - int(args["min"]) + 1
    return low + int(rng.random() * count)  # of Python's generator only random() is promised to stay the same


def _uniform(args: dict[str, Number], rng: Random) -> float:
    return _between(args["min"], args["max"], rng)


def _log_uniform(args: dict[str, Number], rng: Random) -> float:
    return math.exp(_uniform(args, rng))


def _inv_log_uniform(args: dict[str, Number], rng: Random) -> float:
    return math.exp(-_uniform(args, rng))


def _log_uniform_values(args: dict[str, Number], rng: Random) -> float:
    low, high = args["min"], args["max"]
    return min(max(math.exp(_between(math.log(low), math.log(high), rng)), low), high)


def _inv_log_uniform_values(args: dict[str, Number], rng: Random) -> float:
    low, high = args["min"], args["max"]
    return min(max(math.exp(-_between(-math.log(high), -math.log(low), rng)), low), high)


def _normal(args: dict[str, Number], rng: Random) -> float:
    from statistics import NormalDist

    return NormalDist(args["mu"], args["sigma"]).inv_cdf(rng.random() or 2**-54)  # the inverse has no value at 0


def _log_normal(args: dict[str, Number], rng: Random) -> float:
    return math.exp(_normal(args, rng))


def _beta(args: dict[str, Number], rng: Random) -> float:
    return rng.betavariate(args["a"], args["b"])


_SAMPLERS = {
    "int_uniform": _whole,
    "uniform": _uniform,
    "log_uniform": _log_uniform,
    "inv_log_uniform": _inv_log_uniform,
    "log_uniform_values": _log_uniform_values,
    "inv_log_uniform_values": _inv_log_uniform_values,
    "normal": _normal,
    "log_normal": _log_normal,
    "beta": _beta,
}
