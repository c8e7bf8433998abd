"""Images as they are, what a method adds to them, and what the classifier is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nftlab.errors import UsageError
from nftlab.pictures.snapshots import Snapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIPS = ("original", "perturbation", "simplified")


@dataclass(frozen=True)
class Strip:
    """Images side by side, (height, width of all, channels); `largest` of the perturbation's absolute values."""

    epoch: int
    original: np.ndarray
    perturbation: np.ndarray
    simplified: np.ndarray
    largest: float


def strip(snapshot: Snapshot, count: int) -> Strip:
    """The first training images, shown in the company of the first batch. Raises UsageError for data that are no images."""
    task = snapshot.task
    if len(task.shape) != 3:
        raise UsageError(f"examples can be drawn of images, not of {task.name}")
    x, y = snapshot.examples(max(count, snapshot.member.hypers.batch_size))
    shown = snapshot.shown(x, y)
    original, simplified = (_beside(images[:count].numpy()) for images in (x, shown))
    perturbation = (simplified - original).mean(-1)
    return Strip(snapshot.epoch, original, perturbation, simplified, float(np.abs(perturbation).max()))


def draw(axes: Axes, found: Strip, what: str) -> None:
    """One of `STRIPS`."""
    if what == "perturbation":
        limit = found.largest or 1.0
        axes.imshow(found.perturbation, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_ylabel(f"± {found.largest:.2g}")
    else:
        images = np.clip(getattr(found, what), 0, 1)
        axes.imshow(images if images.shape[-1] == 3 else images[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _beside(images: np.ndarray) -> np.ndarray:
    """(n, channels, height, width) as (height, n · width, channels)."""
    n, channels, height, width = images.shape
    return images.transpose(2, 0, 3, 1).reshape(height, n * width, channels)
