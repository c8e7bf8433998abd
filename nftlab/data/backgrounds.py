"""MNIST digits, upright or rotated, before patches of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nftlab.data.base import Progress
from nftlab.data.larochelle import CHUNK, Chunks
from nftlab.data.mnist_rot import FromMnist
from nftlab.data.photographs import PHOTOGRAPHS, textured
from nftlab.data.rotate import rotated

LEAST_DEVIATION = 25  # of 255: patches whose grey values vary less have too little texture; how little was too little is not published


class MnistBackImage(FromMnist):
    """MNIST digits over patches of photographs, which show where a digit's image is black.

    The published set used 20 photographs from the web, which were not published: those of `PHOTOGRAPHS` stand in for them. Nor
    is it told how the two are put together. The brighter of the two at each pixel would be easier than the published set is
    (docs/data.md has the figures).
    """

    name = "mnist-back-image"
    about = "MNIST digits before patches of photographs, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made, MNIST's (CC BY-SA 3.0) and those of the photographs (docs/data.md)"
    archive = "mnist_background_images.zip"
    tables = ("mnist_background_images_train.amat", "mnist_background_images_test.amat")
    published = "fb6fce9ed6372e0068ff7cb3e7b9e78dbda7ceae"
    megabytes = 88
    recipe = 2
    made_from = f"made from MNIST and {len(PHOTOGRAPHS)} photographs"
    seconds = 5

    def images(self, random: np.random.RandomState, root: Path | None, progress: Progress) -> Chunks:
        """Digits drawn without replacement, one patch each."""
        x, y = self.digits(random, root)
        patches = textured(self.shape[-1], LEAST_DEVIATION)
        angles = random.uniform(0, 2 * np.pi, len(y))
        for start in range(0, len(y), CHUNK):
            rows = slice(start, start + CHUNK)
            background, _ = patches.draw(len(y[rows]), random)
            digits = self.turned(x[rows], angles[rows])
            yield np.where(digits > 0, digits, background[:, None]), y[rows]
            progress(f"making {self.name}", min(rows.stop, len(y)), len(y))

    def turned(self, digits: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """The digits (m, 1, 28, 28) as they are laid over the background; here upright."""
        return digits


class MnistRotBackImage(MnistBackImage):
    """MNIST digits turned by angles uniform in [0, 2π), then laid over patches of photographs."""

    name = "mnist-rot-back-image"
    about = "MNIST digits at random angles before patches of photographs, 28×28 (Larochelle et al., 2007)"
    archive = "mnist_rotation_back_image_new.zip"
    tables = (
        "mnist_all_background_images_rotation_normalized_train_valid.amat",
        "mnist_all_background_images_rotation_normalized_test.amat",
    )
    published = "902bb7e96136dd76e9f2924d7fdb9eb832f7bc33"
    megabytes = 115
    seconds = 10

    def turned(self, digits: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """The digits (m, 1, 28, 28), turned."""
        return rotated(digits, angles)
