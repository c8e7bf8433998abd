"""Tall or wide rectangles: outlines on black, or patches of photographs before others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nftlab.data.backgrounds import LEAST_DEVIATION
from nftlab.data.base import Progress
from nftlab.data.larochelle import CHUNK, Chunks, Larochelle
from nftlab.data.photographs import PHOTOGRAPHS, textured


class Rectangles(Larochelle):
    """Outlines of rectangles, one pixel wide, white on black: 1,000 to train, 200 to validate, 50,000 to test; 1 is taller than wide.

    Height and width are uniform over those allowed, the place over those where the rectangle fits.
    """

    name = "rectangles"
    about = "outlines of tall or wide rectangles, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made: none, computed"
    counts = (1_000, 200, 50_000)
    archive = "rectangles.zip"
    tables = ("rectangles_train.amat", "rectangles_test.amat")
    published = "b8d456b1f83bea5efebe76a47a9535adc4b72586"
    megabytes = 3
    made_from = "made"
    seconds = 2
    least_side = 1  # pixels
    least_difference = 3  # pixels between height and width
    area = (0.0, 1.0)  # least and largest share of the image

    def images(self, random: np.random.RandomState, root: Path | None, progress: Progress) -> Chunks:
        """Rectangles drawn independently: one may be drawn again."""
        count = sum(self.counts)
        height, width = self.sizes(count, random)
        for start in range(0, count, CHUNK):
            rows = slice(start, start + CHUNK)
            top, left = (self._start(sizes[rows], random) for sizes in (height, width))
            yield self.painted(top, left, height[rows], width[rows], random)[:, None], (height > width)[rows].astype(np.int64)
            progress(f"making {self.name}", min(rows.stop, count), count)

    def sizes(self, count: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Heights and widths (count,), each allowed pair as likely."""
        side = self.shape[-1]
        height, width = (sizes.ravel() for sizes in np.mgrid[self.least_side : side + 1, self.least_side : side + 1])
        share = height * width / side**2
        allowed = (abs(height - width) >= self.least_difference) & (self.area[0] <= share) & (share <= self.area[1])
        chosen = np.flatnonzero(allowed)[random.randint(allowed.sum(), size=count)]
        return height[chosen], width[chosen]

    def painted(
        self, top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray, random: np.random.RandomState
    ) -> np.ndarray:
        """Images (m, 28, 28) uint8 of these rectangles; here their outlines."""
        outer = self.inside(top, left, height, width)
        inner = self.inside(top + 1, left + 1, height - 2, width - 2)
        return (outer & ~inner) * np.uint8(255)

    def inside(self, top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray) -> np.ndarray:
        """The pixels (m, 28, 28) bool of filled rectangles."""
        at = np.arange(self.shape[-1])
        rows, columns = ((start[:, None] <= at) & (at < (start + size)[:, None]) for start, size in ((top, height), (left, width)))
        return rows[:, :, None] & columns[:, None, :]

    def _start(self, sizes: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """The first pixel (m,) of these extents, uniform over where they fit."""
        return (random.random_sample(len(sizes)) * (self.shape[-1] + 1 - sizes)).astype(np.int64)


class RectanglesImage(Rectangles):
    """Rectangles filled with a patch of one photograph before a patch of another: 10,000 to train, 2,000 to validate, 50,000 to test."""

    name = "rectangles-image"
    about = "tall or wide patches of photographs before others, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made, those of the photographs (docs/data.md)"
    counts = (10_000, 2_000, 50_000)
    archive = "rectangles_images.zip"
    tables = ("rectangles_im_train.amat", "rectangles_im_test.amat")
    published = "2700ba92129ae195e93070d8b27f830323573a57"
    megabytes = 82
    made_from = f"made from {len(PHOTOGRAPHS)} photographs"
    seconds = 5
    least_side = 10
    least_difference = 5
    area = (0.25, 0.75)

    def painted(
        self, top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray, random: np.random.RandomState
    ) -> np.ndarray:
        """Images (m, 28, 28) uint8: one patch inside the rectangle, one of another photograph outside."""
        patches = textured(self.shape[-1], LEAST_DEVIATION)
        patch, which = patches.draw(len(top), random)
        background, _ = patches.draw(len(top), random, other_than=which)
        return np.where(self.inside(top, left, height, width), patch, background)
