"""White regions on black, convex or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nftlab.data.base import Progress
from nftlab.data.larochelle import CHUNK, Chunks, Larochelle

_DRAWN = 500  # regions drawn at a time
_GRID = 1 << 10  # places of a line per pixel
_DIRECTIONS = 1 << 12  # directions of a line in a full turn
_LENGTH = 1 << 14  # of a direction's vector: the products below stay within 32 bits


class Convex(Larochelle):
    """Convex regions (1) and others (0), white on black, as many of each: 6,000 to train, 2,000 to validate, 50,000 to test.

    A convex region is an intersection of half-planes; one that is not is a union of such intersections that fails
    `is_convex`. The numbers are those of the collection's page "ConvexNonConvex"; how a region with too few pixels was
    rejected is not told there. Done as here, the two kinds have nearly the same mean number of white pixels (160 and 173),
    as the page says they have. All arithmetic is in whole numbers.
    """

    name = "convex"
    about = "white regions, convex or not, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made: none, computed"
    counts = (6_000, 2_000, 50_000)
    archive = "convex.zip"
    tables = ("convex_train.amat", "50k/convex_test.amat")
    published = "61eab3c60e0e1caeaa0b82abf827f1809cfd2ef9"
    megabytes = 4
    made_from = "made"
    seconds = 15
    last_plane = 0.195  # chance that a half-plane is the last of a convex region
    least_pixels = 19  # of a convex region
    last_plane_of_part = 0.07  # the same of the parts that regions that are not convex are united from
    least_pixels_of_part = 10
    parts = (2, 4)  # fewest and most of them

    def images(self, random: np.random.RandomState, root: Path | None, progress: Progress) -> Chunks:
        """Regions drawn independently: one may be drawn again."""
        count = sum(self.counts)
        label = (random.permutation(count) < count // 2).astype(np.int64)
        sources = self._regions(self.not_convex, random), self._regions(self.convex, random)
        for start in range(0, count, CHUNK):
            y = label[start : start + CHUNK]
            regions = np.empty((len(y), 1, *self.shape[1:]), bool)
            for value, source in enumerate(sources):
                rows = np.flatnonzero(y == value)
                for row, region in zip(rows, source, strict=False):
                    regions[row, 0] = region
            yield regions * np.uint8(255), y
            progress(f"making {self.name}", start + len(y), count)

    def convex(self, random: np.random.RandomState) -> np.ndarray:
        """Some convex regions (m, side, side) bool."""
        return intersections(_DRAWN, self.shape[-1], self.last_plane, self.least_pixels, random)

    def not_convex(self, random: np.random.RandomState) -> np.ndarray:
        """Some regions (m, side, side) bool that are not convex."""
        fewest, most = self.parts
        parts = intersections(_DRAWN * most, self.shape[-1], self.last_plane_of_part, self.least_pixels_of_part, random)
        used = np.arange(most) < random.randint(fewest, most + 1, size=(_DRAWN, 1))
        united = np.any(parts.reshape(_DRAWN, most, *parts.shape[1:]) & used[:, :, None, None], axis=1)
        return united[~is_convex(united)]

    def _regions(self, draw: Callable[[np.random.RandomState], np.ndarray], random: np.random.RandomState) -> Iterator[np.ndarray]:
        while True:
            yield from draw(random)


def intersections(count: int, side: int, last: float, least: int, random: np.random.RandomState) -> np.ndarray:
    """Regions (count, side, side) bool cut out of the square by random half-planes.

    After each half-plane a region is done with chance `last`: their number is geometric, 1 or more. A half-plane that
    would leave fewer than `least` pixels is drawn anew.
    """
    regions = np.ones((count, side, side), bool)
    rows = np.arange(count)
    while len(rows):
        cut = regions[rows] & half_planes(len(rows), side, random)
        enough = cut.sum((1, 2)) >= least
        regions[rows[enough]] = cut[enough]
        rows = rows[~enough | (random.random_sample(len(rows)) >= last)]
    return regions


def half_planes(count: int, side: int, random: np.random.RandomState) -> np.ndarray:
    """The pixels (count, side, side) bool on one side of lines through a uniform point of the square in a uniform direction."""
    angle = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    normals = np.rint(_LENGTH * np.stack([np.cos(angle), np.sin(angle)])).astype(np.int32)  # all at least 2e-4 away from a tie
    across, down = normals[:, random.randint(_DIRECTIONS, size=count)]
    x, y = random.randint(side * _GRID, size=(2, count)).astype(np.int32)
    at = np.arange(side, dtype=np.int32) * _GRID + _GRID // 2
    return (across[:, None] * (at - x[:, None]))[:, None, :] + (down[:, None] * (at - y[:, None]))[:, :, None] >= 0


def is_convex(regions: np.ndarray) -> np.ndarray:
    """Whether regions (m, h, w) bool, none empty, hold every pixel whose centre is in the convex hull of their pixels' centres, (m,) bool.

    Sampling any convex set gives such a region, and nothing else does.
    """
    height, width = regions.shape[1:]
    used = np.any(regions, axis=2)
    low = np.where(used, regions.argmax(2), width).astype(np.int16)
    high = np.where(used, width - 1 - regions[:, :, ::-1].argmax(2), -1).astype(np.int16)
    hull_low, hull_high = low.copy(), high.copy()
    for top in range(height):
        for bottom in range(top + 2, height):
            both = used[:, top] & used[:, bottom]
            for row in range(top + 1, bottom):
                above, below, span = bottom - row, row - top, bottom - top  # the hull's border is no further in than this chord
                chord_low = -((-low[:, top] * above - low[:, bottom] * below) // span)
                chord_high = (high[:, top] * above + high[:, bottom] * below) // span
                np.minimum(hull_low[:, row], chord_low, out=hull_low[:, row], where=both)
                np.maximum(hull_high[:, row], chord_high, out=hull_high[:, row], where=both)
    return np.maximum(hull_high - hull_low + 1, 0).sum(1) == regions.sum((1, 2))
