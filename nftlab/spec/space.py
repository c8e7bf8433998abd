"""What a sampler chooses from: the axes of a sweep that is searched, and how answers become a trial."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from nftlab.configuration import build
from nftlab.hypers import Hypers
from nftlab.spec.choosers import Sampler
from nftlab.spec.distributions import Distribution, Range
from nftlab.spec.document import show
from nftlab.spec.grammar import Plan
from nftlab.spec.model import Trial, trial_of
from nftlab.spec.parameters import Option, Parameter

Point = dict[str, Option]
Suggest = Callable[["Axis"], Any]


@dataclass(frozen=True, eq=False)
class Axis:
    """One thing to choose: a row of listed values (`choices` name them; zipped parameters share one), or a number in a `range`."""

    name: str
    rows: tuple[Point, ...] = ()
    choices: tuple[Any, ...] = ()
    distribution: Distribution | None = None
    parameter: Parameter | None = None

    @property
    def range(self) -> Range:
        """Where the numbers lie, of an axis without choices."""
        assert self.distribution is not None
        return self.distribution.range()

    def point(self, answer: Any) -> Point:
        """What the parameters are for a choice or a number."""
        if self.distribution is None:
            return self.rows[self.choices.index(answer)]
        assert self.parameter is not None
        return {self.name: Option(self.distribution.settle(answer), self.parameter.at)}

    def draw(self, rng: Random) -> Any:
        """An answer at random."""
        return self.range.draw(rng) if self.distribution else self.choices[int(rng.random() * len(self.choices))]


class Space:
    """The axes of a plan. `applying` keeps of a point what applies to it; `identity` is a text that two equal spaces share.

    `epochs`: the most that a trial can have.
    """

    def __init__(self, plan: Plan, groups: list[tuple[str, ...]], applying: Callable[[Mapping[str, Option]], Point]) -> None:
        axes = [_axis([plan.parameters[name] for name in names]) for names in groups]
        self._axes = {name: axis for names, axis in zip(groups, axes, strict=True) for name in names}
        self._applying = applying
        self.epochs = _most_epochs(plan)
        told = {name: _told(parameter) for name, parameter in sorted(plan.parameters.items())}
        self.identity = json.dumps([told, plan.extensions.groups, plan.extensions.when], sort_keys=True)

    def trial(self, suggest: Suggest) -> Trial:
        """The trial of a sampler's answers; it is asked only about axes that apply. Raises ValueError when such a trial cannot run."""
        config = {name: option.value for name, option in self._applying(_Answers(self._axes, suggest)).items()}
        config.setdefault("algorithm", Hypers.algorithm)
        return trial_of(build(config))


@dataclass(frozen=True)
class Search:
    """How the trials of a sweep come about: `run_cap` of them, proposed by a sampler as results come in."""

    run_cap: int
    sampler: Sampler
    space: Space


class _Answers(dict[str, Option]):
    """A point that asks about an axis when it is first looked at."""

    def __init__(self, axes: Mapping[str, Axis], suggest: Suggest) -> None:
        super().__init__()
        self._axes, self._suggest = axes, suggest

    def __missing__(self, name: str) -> Option:
        axis = self._axes[name]
        self.update(axis.rows[0] if len(axis.rows) == 1 else axis.point(self._suggest(axis)))
        return self[name]


def _axis(members: list[Parameter]) -> Axis:
    first = members[0]
    if first.distribution is not None:
        return Axis(first.name, distribution=first.distribution, parameter=first)
    rows = tuple(
        {p.name: option for p, option in zip(members, row, strict=True)} for row in zip(*(p.options for p in members), strict=True)
    )
    single = len(members) == 1
    choices = tuple(row[first.name].value if single else ", ".join(show(option.value) for option in row.values()) for row in rows)
    return Axis("+".join(p.name for p in members), rows, choices)


def _most_epochs(plan: Plan) -> int:
    parameter = plan.parameters.get("epochs")
    listed = [int(option.value) for option in parameter.ends().options] if parameter else []
    elsewhere = [Hypers.epochs] if not parameter or "epochs" in plan.extensions.when else []
    return max(listed + elsewhere)


def _told(parameter: Parameter) -> Any:
    if parameter.distribution is None:
        return [option.value for option in parameter.options]
    return [parameter.distribution.kind, {name: float(value) for name, value in parameter.distribution.args.items()}]
