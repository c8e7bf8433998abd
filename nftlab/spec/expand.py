"""From a plan to trials: a pure function, in the file's order, with every trial checked and none twice."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from itertools import product
from random import Random

from nftlab.configuration import build, check
from nftlab.errors import nearest
from nftlab.hypers import ALGORITHMS, Hypers
from nftlab.spec.distributions import BOUNDED, Distribution
from nftlab.spec.grammar import Plan
from nftlab.spec.model import Trial, trial_of
from nftlab.spec.parameters import MOST_POINTS, Option
from nftlab.spec.space import Point, Search, Space

MOST_JOBS = 1_000_000  # launched in half a minute
PROBES = 5000  # trials that check a search's parameters
TRIES = 1000  # draws for one trial before a random sweep says that there are no more distinct ones


@dataclasses.dataclass(frozen=True)
class Expansion:
    """The distinct trials in order, what happened on the way, and how many points were written in two ways; or the search for them."""

    trials: tuple[Trial, ...]
    notes: tuple[str, ...]
    duplicates: int = 0
    search: Search | None = None


def expand(plan: Plan) -> Expansion | None:
    """Every trial of a plan; None for a partial one, and after reporting what no algorithm can run."""
    declared = _declared(plan)
    _report_undeclared(plan, declared)
    if plan.partial:
        _check_listed(plan, declared)
        return None
    if plan.method == "bayes":
        return _searched(plan, declared)
    points = _grid(plan, declared) if plan.method == "grid" else _draws(plan, declared)
    trials = list(_trials(plan, points))
    if len(trials) < len(points) or not points:
        return None
    distinct = {trial.key: trial for trial in trials}
    if _too_many(plan, len(distinct), "parameters" if plan.method == "grid" else "run_cap"):
        return None
    return Expansion(tuple(distinct.values()), tuple(_notes(plan, declared, len(points))), len(trials) - len(distinct))


def _too_many(plan: Plan, trials: int, key: str) -> bool:
    """Whether so many trials are too many jobs, which is then reported at `key`."""
    seeds = len(plan.extensions.seeds)
    if (jobs := trials * seeds) > MOST_JOBS:
        plan.at[key].fail(f"{trials} trials of {seeds} seeds are {jobs} jobs; a sweep has at most {MOST_JOBS}", at_key=key == "parameters")
    return jobs > MOST_JOBS


def _declared(plan: Plan) -> dict[str, frozenset[str]]:
    """What every listed algorithm declares; one that does not exist is reported and might declare anything."""
    parameter = plan.parameters.get("algorithm")
    found: dict[str, frozenset[str]] = {}
    for option in parameter.options if parameter else (Option(Hypers.algorithm, plan.at["parameters"]),):
        if isinstance(option.value, str) and option.value in ALGORITHMS:
            found[option.value] = frozenset(field.name for field in dataclasses.fields(ALGORITHMS[option.value]))
        else:
            option.at.fail(check({"algorithm": option.value})[0][1])
            found[option.value] = frozenset(plan.parameters)
    return found


def _report_undeclared(plan: Plan, declared: dict[str, frozenset[str]]) -> None:
    anywhere = frozenset().union(*declared.values())
    for name, parameter in plan.parameters.items():
        if name in anywhere:
            continue
        owners = [algorithm for algorithm, cls in ALGORITHMS.items() if name in {f.name for f in dataclasses.fields(cls)}]
        hint = nearest(name, sorted(anywhere)) or f"; allowed: {', '.join(sorted(anywhere))}"
        who = f"{name} belongs to {', '.join(owners)}" if owners else f"no algorithm declares it{hint}"
        listed = "" if "algorithm" in plan.parameters else " (no algorithm is given)"
        parameter.at.fail(f"does not apply to {', '.join(declared)}{listed}; {who}", at_key=True)


def _searched(plan: Plan, declared: dict[str, frozenset[str]]) -> Expansion | None:
    """The search of a plan, after trials that are not kept have shown that all listed values and the ends of all ranges can be trained."""
    points = _probes(plan, declared)
    if len(list(_trials(plan, points))) < len(points) or plan.extensions.sampler is None or _too_many(plan, plan.run_cap, "run_cap"):
        return None
    if not plan.stored and (possible := _possible(plan, declared)) is not None and possible < plan.run_cap:
        plan.at["run_cap"].fail(
            f"{plan.run_cap} distinct trials are asked for; the parameters allow {possible}; lower run_cap or widen the parameters"
        )
        return None
    space = Space(plan, _axes(plan), _Applying(plan, declared))
    return Expansion((), tuple(_notes(plan, declared, len(points))), search=Search(plan.run_cap, plan.extensions.sampler, space))


def _check_listed(plan: Plan, declared: dict[str, frozenset[str]]) -> None:
    """Reports what of a partial plan's values cannot be trained; the ends of ranges are among them unless values are drawn between them."""
    if plan.method == "random":
        listed = {name: parameter for name, parameter in plan.parameters.items() if parameter.distribution is None}
        plan = dataclasses.replace(plan, parameters=listed, extensions=plan.extensions.restricted(listed.keys()))
    if plan.parameters:
        list(_trials(plan, _probes(plan, declared)))


def _possible(plan: Plan, declared: dict[str, frozenset[str]]) -> int | None:
    """How many distinct trials a search can propose; None where that is not counted: any number between bounds, or too many."""
    parameters = {name: found for name, parameter in plan.parameters.items() if (found := parameter.steps(PROBES))}
    every = dataclasses.replace(plan, parameters=parameters)
    if len(parameters) < len(plan.parameters) or _size(every) > PROBES:
        return None
    return len({trial.key for trial in _trials(every, _grid(every, declared))})


def _probes(plan: Plan, declared: dict[str, frozenset[str]]) -> list[Point]:
    """Points of all listed values and the ends of all ranges, or some where there are too many."""
    ends = dataclasses.replace(plan, parameters={name: parameter.ends() for name, parameter in plan.parameters.items()})
    if _size(ends) <= PROBES:
        return _grid(ends, declared)
    applying = _Applying(plan, declared)
    return [applying(_draw(ends, index, 0)) for index in range(PROBES)]


def _axes(plan: Plan) -> list[tuple[str, ...]]:
    """The parameters that vary together, in file order; a zip group stands where its first member does."""
    groups = {name: group for group in plan.extensions.groups for name in group}
    return list(dict.fromkeys(groups.get(name, (name,)) for name in plan.parameters))


def _points(plan: Plan) -> Iterator[Point]:
    """Every point of the grid, the last axis varying fastest."""
    axes = [(names, list(zip(*(plan.parameters[name].grid() for name in names), strict=True))) for names in _axes(plan)]
    names = [name for group, _ in axes for name in group]
    for rows in product(*(rows for _, rows in axes)):
        yield dict(zip(names, (option for row in rows for option in row), strict=True))


def _size(plan: Plan) -> int:
    return math.prod(plan.parameters[names[0]].count() for names in _axes(plan))


def _grid(plan: Plan, declared: dict[str, frozenset[str]]) -> list[Point]:
    """The distinct points of the grid, each without what does not apply to it."""
    if (size := _size(plan)) > MOST_POINTS:
        plan.at["parameters"].fail(f"{size} points; a grid has at most {MOST_POINTS}", at_key=True)
        return []
    applying = _Applying(plan, declared)
    points = {_signature(kept): kept for kept in map(applying, _points(plan))}
    used = {name for kept in points.values() for name in kept}
    for name, parameter in plan.parameters.items():
        if name not in used and any(name in fields for fields in declared.values()):
            parameter.at.fail("never applies: no trial meets the conditions of nftlab.when", at_key=True)
    return list(points.values())


def _draws(plan: Plan, declared: dict[str, frozenset[str]]) -> list[Point]:
    """`run_cap` distinct points; a draw that was had before is drawn again."""
    applying = _Applying(plan, declared)
    points: dict[tuple[object, ...], Point] = {}
    for index in range(plan.run_cap):
        draws = (applying(_draw(plan, index, attempt)) for attempt in range(TRIES))
        fresh = next((kept for kept in draws if _signature(kept) not in points), None)
        if fresh is None:
            plan.at["run_cap"].fail(_exhausted(plan, applying, len(points)))
            return []
        points[_signature(fresh)] = fresh
    return list(points.values())


def _draw(plan: Plan, index: int, attempt: int) -> Point:
    """One point; each value depends only on sample_seed, the trial's index, the attempt and the parameter's name."""
    point: Point = {}
    for names in _axes(plan):
        rng = Random(f"{plan.extensions.sample_seed}/{index}/{attempt}/{names[0]}")
        if len(names) == 1:
            point[names[0]] = plan.parameters[names[0]].draw(rng)
        else:
            row = plan.parameters[names[0]].draw_index(rng)
            point |= {name: plan.parameters[name].options[row] for name in names}
    return point


def _exhausted(plan: Plan, applying: _Applying, found: int) -> str:
    listed = all(parameter.distribution is None for parameter in plan.parameters.values())
    if listed and _size(plan) <= MOST_POINTS:
        possible = len({_signature(applying(point)) for point in _points(plan)})
        there = f"the listed values allow {possible}" + (f", and {found} of them were drawn" if found < possible else "")
    else:
        there = f"only {found} came up in {TRIES} more draws"
    return f"{plan.run_cap} distinct trials are asked for; {there}; lower run_cap or widen the parameters"


class _Applying:
    """Keeps of a point what applies to it: what its algorithm declares and whose conditions hold."""

    def __init__(self, plan: Plan, declared: dict[str, frozenset[str]]) -> None:
        when = plan.extensions.when
        self._order = list(TopologicalSorter({name: when.get(name, {}) for name in plan.parameters}).static_order())  # conditions first
        self._when = {name: [(other, frozenset(values)) for other, values in parents.items()] for name, parents in when.items()}
        self._declared = declared

    def __call__(self, point: Mapping[str, Option]) -> Point:
        declared = self._declared[point["algorithm"].value if "algorithm" in self._order else Hypers.algorithm]
        kept: Point = {}
        for name in self._order:
            if name not in declared:
                continue
            if all(other in kept and kept[other].value in values for other, values in self._when.get(name, ())):
                kept[name] = point[name]
        return kept


def _signature(point: Point) -> tuple[object, ...]:
    """What makes two points the same: equal values, where true is not 1."""
    return tuple((name, isinstance(option.value, bool), option.value) for name, option in point.items())


def _trials(plan: Plan, points: list[Point]) -> Iterator[Trial]:
    """The trial of every point that can run; a problem is reported once for each value, once for each distribution."""
    drawn: set[str] = set()
    for point in points:
        config = {name: option.value for name, option in point.items()}
        config.setdefault("algorithm", Hypers.algorithm)
        try:
            yield trial_of(build(config))
        except ValueError:
            for name, what in _wrong(config):
                parameter = plan.parameters.get(name)
                if name in drawn:
                    continue
                if parameter and parameter.distribution:
                    drawn.add(name)
                    what = f"{what}: {_origin(parameter.distribution, plan.method)}"
                option = point.get(name) or point.get("dataset")  # a network left at its default fails for the data set
                (option.at if option else plan.at["parameters"]).fail(what)


def _origin(distribution: Distribution, method: str) -> str:
    """Where a value came from that does not stand in the file, and what to change there."""
    kind, args = distribution.kind, distribution.args
    came = {"grid": "a value of", "random": "drawn from", "bayes": "an end of"}[method]
    rounded = ", rounded to a multiple of q" if "q" in args and method != "grid" else ""
    taken = ", of which a sampler takes 3 sigma to each side of mu" if method == "bayes" and kind.endswith("normal") else ""
    *others, last = args
    remedy = f"change {', '.join(others)} or {last}"
    if kind not in BOUNDED:
        remedy += f", or write {'q_' if 'q' in args else ''}{'log_uniform_values' if 'log' in kind else 'uniform'} with min and max"
    return f"{came} {kind} ({', '.join(f'{name} {value}' for name, value in args.items())}){rounded}{taken}; {remedy}"


def _wrong(config: dict[str, object]) -> list[tuple[str, str]]:
    """All problems of a configuration, also those between fields, which `check` looks for only when each field is well."""
    problems = check(config)
    names = {name for name, _ in problems}
    if names & {"algorithm", "dataset"}:
        return problems
    known = [problem for problem in check({key: value for key, value in config.items() if key not in names}) if problem not in problems]
    return problems + known


def _notes(plan: Plan, declared: dict[str, frozenset[str]], distinct: int) -> Iterator[str]:
    for algorithm, fields in declared.items():
        if names := [name for name in plan.parameters if name not in fields]:
            yield f"{', '.join(names)} {'does' if len(names) == 1 else 'do'} not apply to {algorithm}: dropped there"
    if plan.method == "grid" and distinct < (size := _size(plan)):
        yield f"{size} grid points are {distinct} trials: those that differ only in what was dropped are one"
