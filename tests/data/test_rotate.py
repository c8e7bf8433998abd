"""Turning images: exact at right angles, equal to SciPy's in between."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from nftlab.data.rotate import rotated
from tests.data.formats import digits28

IMAGES = digits28(40)[0][:, None]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4])
def test_right_angles_move_pixels_and_change_none(quarters: int) -> None:
    turned = rotated(IMAGES, np.full(len(IMAGES), quarters * np.pi / 2))
    assert np.array_equal(turned, np.rot90(IMAGES, quarters, axes=(2, 3)))  # counter-clockwise as displayed


def test_any_angle_agrees_with_scipy() -> None:
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, len(IMAGES))
    turned = rotated(IMAGES, angles)
    for image, angle, found in zip(IMAGES[:, 0], angles, turned[:, 0], strict=True):
        # SciPy's grid-constant mode blends with the 0 outside as ours does; its plain constant mode cuts off at the edge.
        asked = scipy.ndimage.rotate(image.astype(float), np.degrees(angle), reshape=False, order=1, mode="grid-constant")
        assert np.abs(found - asked).max() <= 0.5 + 1e-9  # only rounding lies between


def test_turning_keeps_the_ink_and_its_centre() -> None:
    blob = np.zeros((1, 1, 28, 28), np.uint8)
    blob[0, 0, 11:17, 9:19] = 200
    for angle in np.linspace(0, 2 * np.pi, 13):
        turned = rotated(blob, np.array([angle]))[0, 0].astype(float)
        assert turned.sum() == pytest.approx(blob.sum(), rel=0.02)
        assert scipy.ndimage.center_of_mass(turned) == pytest.approx((13.5, 13.5), abs=0.1)


def test_each_image_has_its_own_angle() -> None:
    turned = rotated(IMAGES[:2], np.array([0.0, np.pi]))
    assert np.array_equal(turned[0], IMAGES[0])
    assert np.array_equal(turned[1, 0], IMAGES[1, 0, ::-1, ::-1])
