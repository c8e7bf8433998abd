"""Who chooses in a sweep: the sampler that proposes trials and the pruner that ends them early, with all their arguments.

Only names and numbers: `nftlab.search` makes Optuna's objects of them, every argument passed, so that no default of another
version of Optuna changes a sweep.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from nftlab.spec.document import LARGEST, Cursor, show


@dataclass(frozen=True)
class Sampler:
    """An Optuna sampler by name, its arguments, and the seed that its choices depend on."""

    name: str
    args: dict[str, Any]
    seed: int

    @property
    def startup(self) -> int:
        """How many trials it proposes without looking at results: they may as well be proposed at once."""
        return int(self.args.get("n_startup_trials", 1))


@dataclass(frozen=True)
class Pruner:
    """A rule that ends jobs early: one of Optuna's pruners, or W&B's hyperband (`early_terminate`), and its arguments."""

    name: str
    args: dict[str, Any]


@dataclass(frozen=True)
class _Argument:
    """What an argument may be; its kind is that of the default. Without default it must be given."""

    default: Any
    low: float = 0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    given: bool = False  # must be

    def read(self, at: Cursor) -> Any:
        """The value at a cursor, None after reporting a problem."""
        if isinstance(self.default, bool):
            return _truth(at)
        if self.choices:
            return at.one_of(self.choices)
        if isinstance(self.default, int):
            return at.whole(int(self.low), LARGEST if math.isinf(self.high) else int(self.high))
        number = at.number()
        if number is not None and not self.low <= number <= self.high:
            at.fail(f"{number} is {f'below {self.low}' if number < self.low else f'above {self.high}'}")
            return None
        return None if number is None else float(number)


_STEPS = {"n_startup_trials": _Argument(5), "n_warmup_steps": _Argument(0), "interval_steps": _Argument(1, low=1)}
_CURVES = _STEPS | {"n_min_trials": _Argument(1, low=1)}
SAMPLERS: dict[str, dict[str, _Argument]] = {
    "tpe": {
        "n_startup_trials": _Argument(10),
        "n_ei_candidates": _Argument(24, low=1),
        "multivariate": _Argument(True),
        "group": _Argument(False),
        "constant_liar": _Argument(True),
    },
    "cmaes": {
        "n_startup_trials": _Argument(1),
        "sigma0": _Argument(None, low=1e-12),
        "with_margin": _Argument(False),
        "use_separable_cma": _Argument(False),
    },
    "gp": {"n_startup_trials": _Argument(10), "deterministic_objective": _Argument(False)},
    "qmc": {"qmc_type": _Argument("sobol", choices=("sobol", "halton")), "scramble": _Argument(True)},
    "random": {},
    "nsgaii": {
        "population_size": _Argument(50, low=2),
        "mutation_prob": _Argument(None, high=1),
        "crossover_prob": _Argument(0.9, high=1),
        "swapping_prob": _Argument(0.5, high=1),
    },
}
PRUNERS: dict[str, dict[str, _Argument]] = {
    "median": _CURVES,
    "percentile": {"percentile": _Argument(25.0, high=100, given=True), **_CURVES},
    "threshold": {"lower": _Argument(None, low=-math.inf), "upper": _Argument(None, low=-math.inf)}
    | {name: _STEPS[name] for name in ("n_warmup_steps", "interval_steps")},
    "successive_halving": {
        "min_resource": _Argument(1, low=1),
        "reduction_factor": _Argument(4, low=2),
        "min_early_stopping_rate": _Argument(0),
        "bootstrap_count": _Argument(0),
    },
    "hyperband": {
        "min_resource": _Argument(1, low=1),
        "max_resource": _Argument(100, low=1, given=True),
        "reduction_factor": _Argument(3, low=2),
        "bootstrap_count": _Argument(0),
    },
}
MOST_BANDS = 100  # more than any training has
_BANDS = ("type", "min_iter", "max_iter", "s", "eta", "strict")


def read_sampler(at: Cursor | None, seed: int) -> Sampler | None:
    """The sampler that stands at a cursor; without one Optuna's TPE. `seed`: where none is given."""
    if at is None:
        return Sampler("tpe", {name: argument.default for name, argument in SAMPLERS["tpe"].items()}, seed)
    keys = _keys(at, SAMPLERS, ("seed",))
    if keys is None:
        return None
    name, given = keys
    own = given.pop("seed").whole(0) if "seed" in given else seed
    args = _arguments(at, SAMPLERS[name], given)
    if args and args.get("group") and not args["multivariate"]:
        at.fail("group needs multivariate: true", at_key=True)
    if args and args.get("with_margin") and args["use_separable_cma"]:
        at.fail("with_margin and use_separable_cma exclude each other", at_key=True)
    return None if args is None or own is None else Sampler(name, args, own)


def read_pruner(at: Cursor) -> Pruner | None:
    """The pruner that stands at a cursor."""
    keys = _keys(at, PRUNERS)
    args = _arguments(at, PRUNERS[keys[0]], keys[1]) if keys else None
    if keys is None or args is None:
        return None
    if keys[0] == "threshold" and args["lower"] is None and args["upper"] is None:
        at.fail("threshold needs lower, upper or both", at_key=True)
    if keys[0] == "hyperband" and args["max_resource"] < args["min_resource"]:
        at.fail(f"max_resource {args['max_resource']} is below min_resource {args['min_resource']}", at_key=True)
    return Pruner(keys[0], args)


def read_early_terminate(at: Cursor) -> Pruner | None:
    """W&B's `early_terminate`, every default filled in but that of `strict`, which W&B's documentation and schema disagree about."""
    keys = at.known(_BANDS)
    if not isinstance(at.value, dict):
        return None
    if "type" not in keys:
        at.fail("type is missing; write type: hyperband", at_key=True)
    elif keys["type"].one_of(("hyperband",)) is None:
        return None
    if "strict" not in keys:
        at.fail(
            "strict is missing, and W&B's documentation and schema disagree about its default; write strict: true or false", at_key=True
        )
    if "min_iter" in keys and ("max_iter" in keys or "s" in keys):
        at.fail("min_iter and max_iter exclude each other; keep min_iter, or max_iter with s", at_key=True)
    elif "min_iter" not in keys and not {"max_iter", "s"} <= keys.keys():
        at.fail("no bands; write min_iter, or max_iter and s", at_key=True)
    args: dict[str, Any] = {name: keys[name].whole(1) for name in ("min_iter", "max_iter", "s") if name in keys}
    args["eta"] = keys["eta"].number() if "eta" in keys else 3
    if args["eta"] is not None and args["eta"] <= 1:
        keys["eta"].fail(f"{args['eta']} is not above 1")
    args["strict"] = _truth(keys["strict"]) if "strict" in keys else None
    return Pruner("early_terminate", args) if None not in args.values() else None


def rungs(pruner: Pruner, last: int) -> list[int]:
    """The epochs up to `last` at which a pruner decides, ascending."""
    args = pruner.args
    if "interval_steps" in args:
        first = args["n_warmup_steps"]
        return [epoch for epoch in range(max(first, 1), last + 1) if (epoch - first) % args["interval_steps"] == 0]
    if "max_iter" in args:
        bands = {int(args["max_iter"] / args["eta"] ** i) for i in range(1, args["s"] + 1)}
    else:
        least, eta = args.get("min_iter") or args["min_resource"], args.get("eta") or args["reduction_factor"]
        skipped = min(args.get("min_early_stopping_rate", 0), MOST_BANDS)
        powers = (least * eta**i for i in range(skipped, skipped + MOST_BANDS))
        bands = {int(band) for band in takewhile(lambda band: band <= last, powers)}
    return sorted(band for band in bands if 1 <= band <= last)


def _keys(at: Cursor, table: Mapping[str, Any], more: tuple[str, ...] = ()) -> tuple[str, dict[str, Cursor]] | None:
    """The name that is chosen from a table and the cursors of what else is given; None after reporting why not."""
    if isinstance(at.value, str):
        at.fail(f"{show(at.value)} is not a mapping; write {{name: {at.value}}}")
        return None
    entries = at.entries()
    if entries is None:
        return None
    if "name" not in entries:
        at.fail(f"name is missing; one of {', '.join(table)}", at_key=True)
        return None
    name = entries["name"].one_of(tuple(table))
    if name is None:
        return None
    given = at.known(("name", *table[name], *more))
    del given["name"]
    return name, given


def _arguments(at: Cursor, table: Mapping[str, _Argument], given: Mapping[str, Cursor]) -> dict[str, Any] | None:
    """Every argument, defaults filled in; None after reporting what is wrong."""
    missing = [name for name, argument in table.items() if argument.given and name not in given]
    if missing:
        at.fail(f"{' and '.join(missing)} must be given", at_key=True)
    args = {name: argument.default for name, argument in table.items()}
    read = {name: table[name].read(cursor) for name, cursor in given.items()}
    return None if missing or None in read.values() else args | read


def _truth(at: Cursor) -> bool | None:
    if isinstance(at.value, bool):
        return at.value
    at.fail(f"{show(at.value)} is not true or false")
    return None
