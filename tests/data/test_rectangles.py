"""Tall and wide rectangles: what the images show is what their labels say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nftlab.data.rectangles import Rectangles, RectanglesImage
from tests.data.formats import SMALL


def extents(lit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height and width (n,) of what is lit in images (n, 28, 28) bool."""
    return lit.any(2).sum(1), lit.any(1).sum(1)


def test_outlines_are_tall_or_wide_as_labelled(tmp_path: Path) -> None:
    data = Rectangles(SMALL)
    data.make(tmp_path)
    split = data.load(tmp_path).train
    lit = split.x[:, 0].numpy() > 0
    height, width = extents(lit)
    assert np.array_equal(height > width, split.y.numpy() == 1)
    assert (abs(height - width) >= 3).all()
    perimeter = np.where(np.minimum(height, width) == 1, np.maximum(height, width), 2 * (height + width) - 4)
    assert np.array_equal(lit.sum((1, 2)), perimeter)  # one pixel wide, closed
    assert set(np.unique(split.x.numpy())) == {0, 255}


@pytest.mark.parametrize("kind", [Rectangles, RectanglesImage])
def test_every_allowed_size_is_as_likely_and_no_other_drawn(kind: type[Rectangles]) -> None:
    height, width = kind(SMALL).sizes(30_000, np.random.RandomState(0))
    assert min(height.min(), width.min()) == kind.least_side
    assert abs(height - width).min() == kind.least_difference
    share = height * width / 28**2
    assert kind.area[0] <= share.min() <= share.max() <= kind.area[1]
    assert (height > width).mean() == pytest.approx(0.5, abs=0.02)
    often = np.bincount(height * 100 + width)
    assert often[often > 0].max() < 3 * often[often > 0].mean()


def test_a_rectangle_is_where_it_was_drawn() -> None:
    top, left, height, width = (np.array([value]) for value in (2, 5, 20, 3))
    inside = Rectangles(SMALL).inside(top, left, height, width)[0]
    assert np.array_equal(np.argwhere(inside)[[0, -1]], [[2, 5], [21, 7]])
    assert inside.sum() == 60


def test_inside_and_outside_are_of_two_photographs(tmp_path: Path) -> None:
    data = RectanglesImage(SMALL)
    data.make(tmp_path)
    random = np.random.RandomState(0)
    x = data.load(tmp_path).train.x[:, 0].numpy().astype(int)
    height, width = data.sizes(sum(SMALL), random)
    top, left = (data._start(sizes, random) for sizes in (height, width))
    inside = data.inside(top, left, height, width)[: SMALL[0]]
    step = abs(np.diff(x, axis=2))
    border = np.diff(inside.astype(int), axis=2) != 0
    assert step[border].mean() > 2 * step[~border].mean()
