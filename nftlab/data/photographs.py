"""Real photographs that scikit-image and scikit-learn ship, in grey, and textured patches of them."""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from nftlab.data.places import installed
from nftlab.errors import DataError


class Photograph(NamedTuple):
    """A file of an installed package, by whom and under what terms, and the SHA-256 (hex) of its grey pixels, row by row."""

    file: str
    terms: str
    sha256: str


PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph(
        "skimage/data/astronaut.png",
        "NASA, public domain",
        "f98a00b3351f8ba2cf8abfdebcef54ee691a83bbab15093edbf3d87078126618",
    ),
    "brick": Photograph(
        "skimage/data/brick.png",
        "CC0Textures, CC0",
        "664a145c5253f0d66db1a12776785f0ea35a44cc7447ffc933f6d6118dc58643",
    ),
    "camera": Photograph(
        "skimage/data/camera.png",
        "Lav Varshney, CC0",
        "5cb24482a53416f99052258be2b1ee38cd31c559a70c8a8b321cba231b332e21",
    ),
    "chelsea": Photograph(
        "skimage/data/chelsea.png",
        "Stefan van der Walt, CC0",
        "cd822d0a5b86379f987b3120f75a6e7c7be64e292b25a23bd858af5c9db1fed6",
    ),
    "clock_motion": Photograph(
        "skimage/data/clock_motion.png",
        "Stefan van der Walt, public domain",
        "ad313afa739ea86c00ce55d190f1fa284c1982e9bc70eb4c9b21ac29c5c7a85c",
    ),
    "coffee": Photograph(
        "skimage/data/coffee.png",
        "Rachel Michetti, CC0",
        "3e8857c7e771b09cbf5d2e6e60d921830a1b1f097fe066f05d238ba19f87bf61",
    ),
    "coins": Photograph(
        "skimage/data/coins.png",
        "Brooklyn Museum, no known restrictions",
        "e080cc03805f1fa70516c3cb84883d4633bda2a1b51841da7c22f3d14c072451",
    ),
    "grass": Photograph(
        "skimage/data/grass.png",
        "linolafett, CC0",
        "b18dae4c68bf850a7a7b28a29d1846c76be890665117b57fd125fe29c4d4ede6",
    ),
    "gravel": Photograph(
        "skimage/data/gravel.png",
        "CC0Textures, CC0",
        "3d51ad45f789cd8b98534b7af6bce774e499ead45421135afd757358c7230009",
    ),
    "hubble_deep_field": Photograph(
        "skimage/data/hubble_deep_field.jpg",
        "NASA, public domain",
        "88cc9a6693398867627d8a80ac25d9fbd9cd274bb5202d2e970d72642ca5c5c7",
    ),
    "ihc": Photograph(
        "skimage/data/ihc.png",
        "CMMI, no known restrictions",
        "fd48ca0459de8527d943851e5c3d2318e3f7dc501bdd06a102a75301c1dbd107",
    ),
    "moon": Photograph(
        "skimage/data/moon.png",
        "terms not stated",
        "a20362266d5b01021f6f0f54bd603c3137f921b741770420deeb5ea0141716c0",
    ),
    "motorcycle": Photograph(
        "skimage/data/motorcycle_left.png",
        "Middlebury 2014 stereo benchmark, terms not stated",
        "9a7398af5c41e1ad3f77605ce2a9dd73241e4c5582eb9be67e53f7ad50d2c94d",
    ),
    "retina": Photograph(
        "skimage/data/retina.jpg",
        "Mikael Häggström, CC0",
        "b5af19469d41b73eed7df807375dc11aea4b46342021d5f1dbf12edf08bdb12c",
    ),
    "rocket": Photograph(
        "skimage/data/rocket.jpg",
        "SpaceX, public domain",
        "ff4ff1ba1a43d331ef84235f3e85e7b94cd26e6be8fb6e5c10050c565254a0d9",
    ),
    "china": Photograph(
        "sklearn/datasets/images/china.jpg",
        "danielbuechele, CC BY 2.0",
        "0293dfc3ea97a1e337a6c860dba86f6180d7fe9179e951f8a04752b5bf19b8ff",
    ),
    "flower": Photograph(
        "sklearn/datasets/images/flower.jpg",
        "vultilion, CC BY 2.0",
        "e3bc979996e55c4d8c56df81c8befd9f3060d1516ec81a7d3e1013af0c36567e",
    ),
}


def grey(name: str) -> np.ndarray:
    """A photograph as (height, width) uint8, the luma of ITU-R BT.601.

    Raises DataError when the installed file cannot be read, or is not the one that is known by this name.
    """
    from PIL import Image

    photograph = PHOTOGRAPHS[name]
    path = installed(photograph.file)
    try:
        with Image.open(path) as image:
            image.draft("L", image.size)  # the luma as a JPEG stores it: whole numbers, no colour to convert by rounding
            pixels = np.asarray(image.convert("L"))
    except OSError as error:
        raise DataError(f"cannot read the photograph {name!r} ({error})", "install the versions of constraints.txt") from error
    if hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest() != photograph.sha256:
        raise DataError(f"{path} is not the photograph {name!r} that data sets are made from", "install the versions of constraints.txt")
    return pixels


class Patches:
    """Square patches of all photographs, none with less texture than asked for.

    A patch has texture enough when the standard deviation of its grey values is at least `least_deviation` (of 255).
    Decided in whole numbers, so that every machine decides alike.
    """

    def __init__(self, side: int, least_deviation: int) -> None:
        photographs = [grey(name) for name in PHOTOGRAPHS]
        enough = [variance_sum(pixels, side) >= side**4 * least_deviation**2 for pixels in photographs]
        self._windows = [np.lib.stride_tricks.sliding_window_view(pixels, (side, side)) for pixels in photographs]
        self._places = [np.flatnonzero(places) for places in enough]
        self._bounds = np.cumsum([0.0, *(places.mean() for places in enough)])  # a photograph's chance is its share of textured places

    def draw(self, count: int, random: np.random.RandomState, other_than: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Patches (count, side, side) uint8 and the photographs (count,) they are of, none that in `other_than` (count,).

        As if photograph and place were drawn uniformly, anew until the patch has texture enough.
        """
        starts, ends = self._bounds[:-1], self._bounds[1:]
        if other_than is None:
            ticket = random.random_sample(count) * ends[-1]
        else:
            ticket = random.random_sample(count) * (ends[-1] - (ends - starts)[other_than])
            ticket += np.where(ticket >= starts[other_than], (ends - starts)[other_than], 0)
        which = np.minimum(np.searchsorted(ends, ticket, side="right"), len(ends) - 1)
        where = random.random_sample(count)
        patches = np.empty((count, *self._windows[0].shape[2:]), np.uint8)
        for photograph, (windows, places) in enumerate(zip(self._windows, self._places, strict=True)):
            rows = np.flatnonzero(which == photograph)
            if len(rows):
                place = places[(where[rows] * len(places)).astype(np.int64)]
                patches[rows] = windows[np.unravel_index(place, windows.shape[:2])]
        return patches, which


@functools.lru_cache(maxsize=1)
def textured(side: int, least_deviation: int) -> Patches:
    """`Patches`, kept: several data sets are made of the same."""
    return Patches(side, least_deviation)


def variance_sum(image: np.ndarray, side: int) -> np.ndarray:
    """side⁴ times the variance of every window (side, side) of an image (h, w) of whole numbers, as int64, exact."""
    values = image.astype(np.int64)
    return side * side * _box(values * values, side) - _box(values, side) ** 2


def _box(values: np.ndarray, side: int) -> np.ndarray:
    """The sum over every window (side, side)."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
