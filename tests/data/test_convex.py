"""Regions, convex or not: the test of convexity against another, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nftlab.data.convex import Convex, half_planes, intersections, is_convex
from tests.data.formats import SMALL


def region(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@pytest.mark.parametrize(
    ("rows", "convex"),
    [
        ((".....", ".###.", ".###.", ".###.", "....."), True),
        (("#....", ".#...", "..#..", "...#.", "....#"), True),
        (("#....", ".....", ".....", ".....", "...#."), True),  # no pixel's centre lies between them
        (("#....", ".....", ".....", ".....", "....#"), False),
        (("##.##", ".....", ".....", ".....", "....."), False),
        (("#####", "#...#", "#...#", "#...#", "#####"), False),
        (("..#..", ".....", "..#..", ".....", "....."), False),
        (("#####", "#####", "##.##", "#####", "#####"), False),
        (("..#..", ".###.", "#####", ".###.", "..#.."), True),
        (("..#..", "..#..", "#####", "..#..", "..#.."), False),
        (("#....", "#....", "###..", "#....", "#...."), False),
        (("....#", "....#", "..###", "....#", "....#"), False),
    ],
)
def test_convexity_of_small_regions(rows: tuple[str, ...], convex: bool) -> None:
    assert is_convex(region(*rows)[None]).tolist() == [convex]
    assert is_convex(region(*rows).T[None]).tolist() == [convex]


def test_convexity_is_that_of_the_hull() -> None:
    """Against Qhull on unions of drawn regions, near the border between the two kinds."""
    spatial = pytest.importorskip("scipy.spatial")
    random = np.random.RandomState(0)
    parts = intersections(300, 12, 0.3, 8, random)
    regions = np.concatenate([parts, parts[:150] | parts[150:]])
    at = np.argwhere(np.ones((12, 12)))
    for found, pixels in zip(is_convex(regions), regions, strict=True):
        points = np.argwhere(pixels)
        try:
            hull = spatial.ConvexHull(points)
        except spatial.QhullError:  # all on one line
            continue
        inside = (at @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(1)
        assert found == (inside.sum() == len(points))


def test_a_half_plane_is_half_the_pixels_whichever_the_pixel() -> None:
    share = half_planes(20_000, 28, np.random.RandomState(0)).mean(0)
    assert abs(share - 0.5).max() < 0.02


def test_drawn_regions_are_what_their_labels_say(tmp_path: Path) -> None:
    data = Convex(SMALL)
    data.make(tmp_path)
    task = data.load(tmp_path)
    for split in (task.train, task.valid, task.test):
        assert np.array_equal(is_convex(split.x[:, 0].numpy() > 0), split.y.numpy() == 1)
    x = np.concatenate([split.x[:, 0].numpy() for split in (task.train, task.valid, task.test)]) > 0
    y = np.concatenate([split.y.numpy() for split in (task.train, task.valid, task.test)])
    assert (y == 1).sum() * 2 == len(y)
    assert x[y == 1].sum((1, 2)).min() >= data.least_pixels
    assert x[y == 0].sum((1, 2)).min() >= data.least_pixels_of_part


def test_brightness_does_not_tell_the_kinds_apart() -> None:
    data, random = Convex(SMALL), np.random.RandomState(0)
    means = [draw(random).sum((1, 2)).mean() for draw in (data.convex, data.not_convex)]
    assert means[0] == pytest.approx(means[1], rel=0.12)
