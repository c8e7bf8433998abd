"""What a report file says, read: lines (rows and columns), published values, and the rules by which cells are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Metric = Literal["test_error", "val_error"]
METRICS: dict[Metric, str] = {"test_error": "test error", "val_error": "validation error"}
Choice = Literal["val_error", "val_error_per_seed"]
SWEEP = "sweep"  # what a `where` may name beside the fields of a configuration: the sweep that launched a job
CHOICES: dict[Choice, str] = {
    "val_error": "by mean validation error over seeds",
    "val_error_per_seed": "by validation error, for each seed by itself",
}


@dataclass(frozen=True)
class Line:
    """A row or a column: `label` names it in the whole table, `short` within its `group` (empty: none).

    `where` says which jobs belong to it: for each field of their configuration the values allowed, for `sweep` names or patterns.
    """

    label: str
    short: str
    group: str
    where: Mapping[str, tuple[Any, ...]]

    @property
    def sweeps(self) -> tuple[str, ...]:
        """Names or patterns of the sweeps whose jobs belong here; empty for all."""
        return self.where.get(SWEEP, ())

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration belongs here; one that lacks a field of `where` does not."""
        return all(any(same(config.get(name), value) for value in values) for name, values in self.where.items() if name != SWEEP)


@dataclass(frozen=True)
class Published:
    """A number that others printed: mean and standard deviation in percent, and where it stands."""

    mean: float
    std: float | None
    source: str


@dataclass(frozen=True)
class Curves:
    """A figure of curves over epochs: for each entry a picture, its first curve drawn solid, its second dashed."""

    pictures: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Axis:
    """A figure of the table's numbers: a picture for each group of rows, over the field that its rows differ in, a line a column."""

    fields: tuple[str, ...]  # one for each group


@dataclass(frozen=True)
class Picture:
    """A figure that needs networks and examples, so that the job table alone cannot give it: `nftlab picture` draws it."""

    kind: Literal["boundary", "examples"]
    epochs: tuple[int, ...]
    examples: int = 8


Figure = Curves | Axis | Picture


@dataclass(frozen=True)
class ReportSpec:
    """A table to print. `sweeps`: names or patterns of the sweeps that count, empty for all; `seeds`: how many are asked for.

    `baseline` selects the lines that others are compared with; `published` is by (row label, column label); `notes` are
    printed below the table. `figure`: how it is drawn beside the table. `scale`: below 1 only sweeps scaled down so count.
    """

    name: str
    title: str
    rows: tuple[Line, ...]
    columns: tuple[Line, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    metric: Metric = "test_error"
    seeds: int = 3
    baseline: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    published: Mapping[tuple[str, str], Published] = field(default_factory=dict)
    source: str = ""
    choose: Choice = "val_error"
    figure: Figure | None = None
    scale: float = 1.0

    @property
    def needs_networks(self) -> bool:
        """Whether the job table alone cannot draw its figure."""
        return isinstance(self.figure, Picture)

    def baseline_of(self, row: Line, column: Line) -> tuple[Line, Line] | None:
        """The row and column of the cell that this one is compared with; None without one, and for a baseline itself."""
        if not self.baseline:
            return None
        if base := _base(self.rows, row, self.baseline):
            return (base, column) if base != row else None
        if base := _base(self.columns, column, self.baseline):
            return (row, base) if base != column else None
        return None


def _base(lines: Sequence[Line], line: Line, wanted: Mapping[str, tuple[Any, ...]]) -> Line | None:
    return next((other for other in lines if other.group == line.group and is_baseline(other, wanted)), None)


def is_baseline(line: Line, wanted: Mapping[str, tuple[Any, ...]]) -> bool:
    """Whether every configuration of the line is one of the baseline's."""
    return all(name in line.where and all(_among(value, values) for value in line.where[name]) for name, values in wanted.items())


def _among(value: Any, values: Sequence[Any]) -> bool:
    return any(same(value, other) for other in values)


def same(one: Any, other: Any) -> bool:
    """Equality of configuration values: 1 is 1.0, but true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other
