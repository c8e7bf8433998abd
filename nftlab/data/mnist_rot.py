"""Rotated MNIST, and digits to make variations of MNIST from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nftlab.data.base import Progress
from nftlab.data.larochelle import CHUNK, Chunks, Larochelle
from nftlab.data.mnist import Mnist
from nftlab.data.rotate import rotated


class FromMnist(Larochelle):
    """A variation of MNIST: 10,000 images to train, 2,000 to validate, 50,000 to test, each of another digit."""

    counts = (10_000, 2_000, 50_000)

    def __init__(
        self,
        mnist: Mnist | None = None,
        counts: tuple[int, int, int] | None = None,
        urls: tuple[str, ...] | None = None,
        published: str | None = None,
    ) -> None:
        super().__init__(counts, urls, published)
        self.mnist = mnist or Mnist()

    def digits(self, random: np.random.RandomState, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """`sum(counts)` digits (n, 1, 28, 28) drawn without replacement and their labels: none is both in the test split and another."""
        task = self.mnist.load(root)
        x, y = (np.concatenate([getattr(split, part).numpy() for split in (task.train, task.valid, task.test)]) for part in "xy")
        chosen = random.permutation(len(y))[: sum(self.counts)]
        return x[chosen], y[chosen]


class MnistRot(FromMnist):
    """MNIST digits turned by angles uniform in [0, 2π), bilinear, frame kept."""

    name = "mnist-rot"
    about = "MNIST digits at random angles, 28×28 (Larochelle et al., 2007)"
    licence = "none stated, cite Larochelle et al. (2007); when made, MNIST's: CC BY-SA 3.0"
    archive = "mnist_rotation_new.zip"
    tables = ("mnist_all_rotation_normalized_float_train_valid.amat", "mnist_all_rotation_normalized_float_test.amat")
    published = "0f9a947ff3d30e95cd685462cbf3b847"
    megabytes = 55
    made_from = "made from MNIST"
    seconds = 5

    def images(self, random: np.random.RandomState, root: Path | None, progress: Progress) -> Chunks:
        """Digits drawn without replacement, one angle each."""
        x, y = self.digits(random, root)
        angles = random.uniform(0, 2 * np.pi, len(y))
        for start in range(0, len(y), CHUNK):
            rows = slice(start, start + CHUNK)
            yield rotated(x[rows], angles[rows]), y[rows]
            progress(f"making {self.name}", min(rows.stop, len(y)), len(y))
