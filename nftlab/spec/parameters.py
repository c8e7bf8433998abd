"""One entry of `parameters`: a value, listed values (perhaps with probabilities), or a distribution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Any

from nftlab.spec.distributions import BOUNDED, DEFAULTS, Distribution, Number
from nftlab.spec.document import Cursor, show

MOST_POINTS = 100_000  # of a grid: more than any lab trains, and little enough to expand in seconds
MOST_SHAPE = 1e6  # of a beta distribution, which is a point by then; far larger ones would be drawn for ever
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
LISTED = ("constant", "categorical", "categorical_w_probabilities")
KEYS = ("value", "values", "probabilities", "distribution", "min", "max", "q", "mu", "sigma", "a", "b")


@dataclass(frozen=True, eq=False)
class Option:
    """One value a parameter may take, and where the file says so."""

    value: Any
    at: Cursor


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter with its listed options, or else with the distribution that its values come from."""

    name: str
    at: Cursor
    options: tuple[Option, ...] = ()
    weights: tuple[float, ...] = ()
    distribution: Distribution | None = None

    def count(self) -> int:
        """How many options a grid has."""
        return len(self.options) if self.distribution is None else self.distribution.count() or 0

    def grid(self) -> Sequence[Option]:
        """Every option on a grid."""
        if self.distribution is None:
            return self.options
        return [Option(value, self.at) for value in self.distribution.grid()]

    def ends(self) -> Parameter:
        """The parameter with the ends of its distribution as its options: where these can be trained, so can what lies between."""
        if self.distribution is None:
            return self
        found = self.distribution.range()
        return replace(
            self, options=tuple(Option(self.distribution.settle(end), self.at) for end in (found.low, found.high)), distribution=None
        )

    def steps(self, most: int) -> Parameter | None:
        """The parameter with all values that a sampler can propose as its options; None where they are over `most` or not in steps."""
        if self.distribution is None:
            return self
        values = self.distribution.steps(most)
        return replace(self, options=tuple(Option(value, self.at) for value in values), distribution=None) if values else None

    def draw(self, rng: Random) -> Option:
        """One option at random."""
        if self.distribution is not None:
            return Option(self.distribution.draw(rng), self.at)
        return self.options[self.draw_index(rng)]

    def draw_index(self, rng: Random) -> int:
        """The position of one listed option at random."""
        point = rng.random()
        if not self.weights:
            return int(point * len(self.options))
        bounds = list(accumulate(self.weights))
        return next(i for i, bound in enumerate(bounds) if point * bounds[-1] < bound)


def read_parameter(name: str, at: Cursor, method: str | None) -> Parameter | None:
    """The parameter that stands at a cursor, or None after reporting every problem of it."""
    if not NAME.fullmatch(name):
        at.fail("a parameter's name starts with a letter or _ and goes on with letters, digits, _ . or -", at_key=True)
        return None
    if not isinstance(at.value, dict):
        written = "values" if isinstance(at.value, list) else "value"
        at.fail(f"{show(at.value)} is not a mapping; write {name}: {{{written}: …}}")
        return None
    nested = "nested parameters; nftlab's parameters are flat: write each at the top of `parameters`"
    keys = at.known(KEYS, {"parameters": nested})
    if len(keys) < len(at.value):
        return None  # what an unknown key was meant to say is not known either
    kind = _kind(at, keys)
    if kind is None or not _fits(at, kind, keys):
        return None
    if kind in LISTED:
        return _listed(name, at, kind, keys, method)
    return _distributed(name, at, kind, keys, method)


def _kind(at: Cursor, keys: dict[str, Cursor]) -> str | None:
    """The distribution's name, given or W&B's default for the keys there are."""
    if "distribution" in keys:
        return keys["distribution"].one_of((*LISTED, *DEFAULTS))
    if "value" in keys and "values" in keys:
        at.fail("both value and values; keep one", at_key=True)
    elif "value" in keys:
        return "constant"
    elif "values" in keys:
        return "categorical"
    elif "min" in keys and "max" in keys:
        ends = keys["min"].value, keys["max"].value
        return "int_uniform" if all(isinstance(end, int) for end in ends) else "uniform"
    elif "min" in keys or "max" in keys:
        at.fail(f"{'min' if 'min' in keys else 'max'} alone; min and max go together", at_key=True)
    elif keys:
        at.fail(f"{', '.join(keys)} alone; add a distribution: one of {', '.join(DEFAULTS)}", at_key=True)
    else:
        at.fail("no value; write value, values, min and max, or a distribution", at_key=True)
    return None


def _fits(at: Cursor, kind: str, keys: dict[str, Cursor]) -> bool:
    """Whether the keys are those of the distribution: none too many, none missing."""
    required = {"constant": ("value",), "categorical": ("values",), "categorical_w_probabilities": ("values", "probabilities")}
    needs = required.get(kind, ("min", "max") if kind in BOUNDED else ())
    optional = ("probabilities",) if kind == "categorical" else tuple(DEFAULTS.get(kind, ()))
    extra = [key for key in keys if key not in (*needs, *optional, "distribution")]
    for key in extra:
        rounded = f"q_{kind.removeprefix('int_')}"
        hint = f"; write distribution: {rounded}" if key == "q" and rounded in DEFAULTS else ""
        keys[key].fail(f"does not belong to {kind}, which takes {', '.join((*needs, *optional))}{hint}", at_key=True)
    missing = [key for key in needs if key not in keys]
    if missing:
        at.fail(f"{kind} needs {' and '.join(missing)}", at_key=True)
    return not extra and not missing


def _listed(name: str, at: Cursor, kind: str, keys: dict[str, Cursor], method: str | None) -> Parameter | None:
    if kind == "constant":
        return Parameter(name, at, (Option(keys["value"].value, keys["value"]),)) if keys["value"].scalar() else None
    items = keys["values"].items()
    if items is None or len([item for item in items if item.scalar()]) < len(items):
        return None
    weights: tuple[float, ...] | None = ()
    if "probabilities" in keys:
        weights = _weights(keys["probabilities"], len(items), method)
    return None if weights is None else Parameter(name, at, tuple(Option(item.value, item) for item in items), weights)


def _weights(at: Cursor, count: int, method: str | None) -> tuple[float, ...] | None:
    if method == "grid":
        at.fail("a grid has no probabilities; they need method: random", at_key=True)
        return None
    if method == "bayes":
        at.fail("a sampler learns what is likely; probabilities need method: random", at_key=True)
        return None
    items = at.items()
    numbers = [item.number() for item in items or ()]
    weights = [float(number) for number in numbers if number is not None]
    if items is None or len(weights) < len(items):
        return None
    if len(weights) != count:
        at.fail(f"{len(weights)} probabilities for {count} values; one for each")
    elif any(not 0 <= weight <= 1 for weight in weights):
        at.fail("a probability lies between 0 and 1")
    elif abs(sum(weights) - 1) > 1e-6:
        at.fail(f"the probabilities add up to {sum(weights):g}, not 1")
    else:
        return tuple(weights)
    return None


def _distributed(name: str, at: Cursor, kind: str, keys: dict[str, Cursor], method: str | None) -> Parameter | None:
    args: dict[str, Number] = dict(DEFAULTS[kind])
    given = {key: cursor for key, cursor in keys.items() if key != "distribution"}
    for key, cursor in given.items():
        number = cursor.whole() if kind == "int_uniform" else cursor.number()
        if number is None:
            return None
        args[key] = number
    distribution = Distribution(kind, args)
    what = _wrong_args(kind, args) or (_wrong_grid(distribution) if method == "grid" else None)
    if what:
        at.fail(what, at_key=True)
        return None
    return Parameter(name, at, distribution=distribution)


def _wrong_args(kind: str, args: dict[str, Number]) -> str | None:
    """What is wrong between the numbers of a distribution, or None."""
    for key in ("q", "sigma", "a", "b"):
        if key in args and args[key] <= 0:
            return f"{key} is {args[key]}; it must be greater than 0"
        if key in ("a", "b") and args.get(key, 0) > MOST_SHAPE:
            return f"{key} is {args[key]}; it must be at most {MOST_SHAPE:g}"
    if kind not in BOUNDED:
        return _beyond(kind, args)
    if args["min"] >= args["max"]:
        return f"min {args['min']} is not below max {args['max']}"
    if kind.endswith("_values") and args["min"] <= 0:
        return f"min is {args['min']}; {kind} needs it greater than 0"
    if kind in ("log_uniform", "q_log_uniform") and args["min"] > 0:
        return f"min and max of {kind} are exponents of e, and min {args['min']} is above 0 (did you mean '{kind}_values'?)"
    return _beyond(kind, args)


def _beyond(kind: str, args: dict[str, Number]) -> str | None:
    """That a logarithm's arguments lead beyond the numbers there are, or None."""
    if "log" not in kind or kind.endswith("_values"):
        return None
    meant = f" (did you mean '{kind}_values'?)" if kind in BOUNDED else ""
    try:
        there = Distribution(kind, args).range().low > 0
    except OverflowError:
        there = False
    return None if there else f"the arguments of {kind} are exponents of e, and these lead to 0 or beyond the largest float{meant}"


def _wrong_grid(distribution: Distribution) -> str | None:
    count = distribution.count()
    if count is None:
        return f"{distribution.kind} has no grid; write values, int_uniform or q_uniform, or use method: random"
    return f"{count} values; a grid has at most {MOST_POINTS} points" if count > MOST_POINTS else None
