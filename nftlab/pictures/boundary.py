"""The decision boundary of a classifier of points in the plane, over training, and what the classifier is shown on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nftlab.errors import UsageError
from nftlab.methods.base import bounds
from nftlab.pictures.snapshots import Snapshot
from nftlab.report.canvas import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 160  # places of the grid along each axis
_MARGIN = 0.4  # beyond the outermost points
_MINUS, _PLUS = 0, 1  # places in the palette of the two classes' colours


@dataclass(frozen=True)
class Plane:
    """Probability of class 1 on a grid (`down`, `across`), the training points with their labels, and the points as shown."""

    epoch: int
    across: np.ndarray
    down: np.ndarray
    probability: np.ndarray
    points: np.ndarray
    shown: np.ndarray
    labels: np.ndarray


def plane(snapshot: Snapshot) -> Plane:
    """The plane as the classifier sees it. Raises UsageError for other data than two classes of points."""
    task = snapshot.task
    if task.shape != (2,) or task.classes != 2:
        raise UsageError(f"a boundary can be drawn for two classes of points in the plane, not for {task.name}")
    x, y = snapshot.examples(len(task.train))
    low, high = x.min(0).values - _MARGIN, x.max(0).values + _MARGIN
    across, down = (torch.linspace(float(a), float(b), _SIDE, dtype=x.dtype) for a, b in zip(low, high, strict=True))
    grid = torch.stack([across.repeat(_SIDE), down.repeat_interleave(_SIDE)], 1)
    probability = snapshot.probabilities(grid)[:, 1].view(_SIDE, _SIDE)
    batches = (slice(*edges) for edges in bounds(len(x), snapshot.member.hypers.batch_size))
    parts = (across, down, probability, x, torch.cat([snapshot.shown(x[rows], y[rows]) for rows in batches]), y)
    return Plane(snapshot.epoch, *(part.numpy() for part in parts))


def draw(axes: Axes, found: Plane, palette: Palette) -> None:
    """Regions, boundary, points; the points as shown, joined to where they are, if they were moved."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap

    minus, plus = palette.curve(_MINUS), palette.curve(_PLUS)
    shades = LinearSegmentedColormap.from_list("classes", [minus, "#ffffff", plus])
    levels = np.linspace(0, 1, 11)
    axes.contourf(found.across, found.down, found.probability, levels=levels, cmap=shades, alpha=0.35).set_rasterized(True)
    axes.contour(found.across, found.down, found.probability, levels=[0.5], colors=[palette.ink], linewidths=1)
    colours = np.where(found.labels == 1, plus, minus)
    moved = not np.array_equal(found.points, found.shown)
    if moved:
        paths = np.stack([found.points, found.shown], 1)
        axes.add_collection(LineCollection(list(paths), colors=palette.grid, linewidths=0.4, zorder=1, rasterized=True))
    axes.scatter(found.shown[:, 0], found.shown[:, 1], c=colours, s=2.5, linewidths=0, zorder=2, rasterized=True)
    axes.set(xlim=found.across[[0, -1]], ylim=found.down[[0, -1]], xticks=[], yticks=[], aspect="equal")
    axes.set_title(f"epoch {found.epoch}" + (", simplified" if moved else ""))
