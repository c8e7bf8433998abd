"""A table's numbers over an axis as plain numbers: rows are its places, columns its lines. Pure; `figures` draws them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nftlab.report.cells import Cell
from nftlab.report.model import METRICS, Axis, Line, ReportSpec

_WIDE = 20  # largest ÷ smallest place from which on an axis is logarithmic


@dataclass(frozen=True)
class Point:
    """One cell at its place on the axis; without a `mean` it is a hole. `partial`: fewer seeds than asked for."""

    x: float
    mean: float | None
    std: float | None
    n: int
    partial: bool


@dataclass(frozen=True)
class Track:
    """The points of one column, in rising order; `place` of the column among the report's (from 0)."""

    name: str
    place: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class AxisPanel:
    """The picture of one group of rows over the field in which they differ; `metric` in words."""

    title: str
    field: str
    metric: str
    tracks: tuple[Track, ...]

    @property
    def logarithmic(self) -> bool:
        """Whether places lie too far apart for a linear axis."""
        places = [point.x for track in self.tracks for point in track.points]
        return min(places) > 0 and max(places) >= _WIDE * min(places)


def axis_panels(cells: Iterable[Cell], spec: ReportSpec, axis: Axis) -> list[AxisPanel]:
    """The pictures of a report, one for each group of rows."""
    by_place = {(cell.row, cell.column): cell for cell in cells}
    groups = dict.fromkeys(line.group for line in spec.rows)
    found = []
    for group, field in zip(groups, axis.fields, strict=True):
        rows = sorted((line for line in spec.rows if line.group == group), key=lambda line: place(line, field))
        tracks = [
            Track(column.label, number, tuple(_point(place(row, field), by_place[row.label, column.label]) for row in rows))
            for number, column in enumerate(spec.columns)
        ]
        found.append(AxisPanel(group, field, METRICS[spec.metric], tuple(tracks)))
    return found


def place(line: Line, field: str) -> float:
    """Where a row stands on an axis."""
    return float(line.where[field][0])


def _point(x: float, cell: Cell) -> Point:
    return Point(x, cell.mean, cell.std, cell.n, cell.partial)
