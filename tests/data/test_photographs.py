"""The photographs that images are made from, and their patches."""

from __future__ import annotations

import numpy as np
import pytest

from nftlab.data import photographs
from nftlab.data.photographs import PHOTOGRAPHS, Patches, grey, variance_sum
from nftlab.errors import DataError


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_shipped_as_it_is_known(name: str) -> None:
    pixels = grey(name)
    assert pixels.dtype == np.uint8
    assert min(pixels.shape) >= 300
    assert PHOTOGRAPHS[name].terms


def test_another_picture_by_a_known_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "camera", PHOTOGRAPHS["camera"]._replace(file=PHOTOGRAPHS["brick"].file))
    with pytest.raises(DataError, match=r"brick.png is not the photograph 'camera'.*constraints.txt"):
        grey("camera")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "camera", PHOTOGRAPHS["camera"]._replace(file="no_such_package/camera.png"))
    with pytest.raises(DataError, match="files of no_such_package are not installed"):
        grey("camera")


def test_a_picture_that_is_not_shipped_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "camera", PHOTOGRAPHS["camera"]._replace(file="skimage/data/no_such_picture.png"))
    with pytest.raises(DataError, match=r"cannot read the photograph 'camera' .*no_such_picture.*constraints.txt"):
        grey("camera")


def test_variance_is_that_of_numpy() -> None:
    image = grey("brick")[:40, :50]
    found = variance_sum(image, 28)
    assert found.shape == (13, 23)
    for row, column in ((0, 0), (12, 22), (5, 7)):
        assert found[row, column] == pytest.approx(28**4 * image[row : row + 28, column : column + 28].var())


def test_patches_are_of_their_photographs_and_have_texture() -> None:
    patches, which = Patches(28, 40).draw(200, np.random.RandomState(0))
    assert patches.std((1, 2)).min() >= 40
    assert len(set(which.tolist())) > 5
    for patch, photograph in zip(patches[:5], which[:5], strict=True):
        pixels = grey(list(PHOTOGRAPHS)[photograph])
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (28, 28))
        assert (windows == patch).all((2, 3)).any()


def test_a_photograph_is_drawn_as_often_as_its_patches_have_texture() -> None:
    patches = Patches(28, 25)
    _, which = patches.draw(20_000, np.random.RandomState(0))
    share = np.array([(variance_sum(grey(name), 28) >= 28**4 * 25**2).mean() for name in PHOTOGRAPHS])
    assert np.allclose(np.bincount(which, minlength=len(share)) / 20_000, share / share.sum(), atol=0.01)


def test_the_second_of_two_patches_is_of_another_photograph() -> None:
    patches, random = Patches(28, 25), np.random.RandomState(0)
    _, first = patches.draw(5000, random)
    _, second = patches.draw(5000, random, other_than=first)
    assert (first != second).all()
    assert set(second.tolist()) == set(first.tolist()) == set(range(len(photographs.PHOTOGRAPHS)))
