"""Learning curves as plain numbers: epoch rows of a cell's jobs → mean and band over seeds. Pure; `figures` draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from nftlab.report.cells import Cell, spread
from nftlab.report.model import ReportSpec

Rows = Sequence[Mapping[str, Any]]  # the epoch rows of one job: `epoch` (1-based) and its values by name
VALIDATION, TRAIN = "val/error", "train/error"


@dataclass(frozen=True)
class Series:
    """One curve over epochs: mean over `n` jobs, and that mean ∓ and ± one sample standard deviation (0 for one job)."""

    name: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: tuple[int, ...]


@dataclass(frozen=True)
class Curve:
    """The curves of one cell, called as its line is called within its group; `place` of that name among the report's (from 0).

    `series` are in the order that the picture names them. `switch`: the epochs after which the method shows the data as they are,
    None where it always does. `mark`: what a reader must know of the seeds, such as `2/3`.
    """

    name: str
    place: int
    series: tuple[Series, ...]
    switch: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Panel:
    """The curves that belong into one picture: the cells of one group of rows and one column. `missing`: lines without a curve."""

    group: str
    column: str
    values: tuple[str, ...]
    curves: tuple[Curve, ...]
    missing: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.group}, {self.column}" if self.group else self.column


def series(name: str, jobs: Iterable[Rows]) -> Series:
    """The values called `name` of several jobs, epoch by epoch; what is missing or not finite does not count."""
    values: dict[int, list[float]] = {}
    for rows in jobs:
        for row in rows:
            value = row.get(name)
            if value is not None and isfinite(value):
                values.setdefault(row["epoch"], []).append(value)
    epochs = sorted(values)
    means, stds = [], []
    for epoch in epochs:
        mean, std = spread(values[epoch])
        means.append(mean)
        stds.append(std or 0.0)
    low = tuple(mean - std for mean, std in zip(means, stds, strict=True))
    high = tuple(mean + std for mean, std in zip(means, stds, strict=True))
    return Series(name, tuple(epochs), tuple(means), low, high, tuple(len(values[epoch]) for epoch in epochs))


def panels(cells: Iterable[Cell], spec: ReportSpec, rows: Mapping[str, Rows], values: tuple[str, ...] = (VALIDATION, TRAIN)) -> list[Panel]:
    """The pictures of a report, in the order of its table; `rows` holds the epoch rows by job key, `values` names what is drawn."""
    lines = {line.label: line for line in spec.rows}
    names = list(dict.fromkeys(line.short for line in spec.rows))
    found: dict[tuple[str, str], list[Curve | str]] = {(line.group, column.label): [] for line in spec.rows for column in spec.columns}
    for cell in cells:
        line = lines[cell.row]
        of_jobs = [rows[key] for key in cell.jobs if rows.get(key)]
        drawn = tuple(series(name, of_jobs) for name in values)
        curve = Curve(line.short, names.index(line.short), drawn, switch(cell), f"{cell.n}/{cell.asked}" if cell.partial else "")
        found[line.group, cell.column].append(curve if any(each.epochs for each in drawn) else line.short)
    return [_panel(group, column, values, those) for (group, column), those in found.items()]


def _panel(group: str, column: str, values: tuple[str, ...], those: Sequence[Curve | str]) -> Panel:
    curves = tuple(each for each in those if isinstance(each, Curve))
    return Panel(group, column, values, curves, tuple(each for each in those if isinstance(each, str)))


def switch(cell: Cell) -> float | None:
    """After how many epochs the chosen trial trains on the data as they are."""
    config = cell.chosen.config if cell.chosen else {}
    share, epochs = config.get("ratio_simp"), config.get("epochs")
    return share * epochs if share and epochs else None
