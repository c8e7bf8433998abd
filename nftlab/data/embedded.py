"""Data sets that come with scikit-learn: nothing to fetch, on every machine the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nftlab.data import places
from nftlab.data.base import Dataset, Progress, Status, silent
from nftlab.data.task import Task, cut, digest


class Embedded(Dataset):
    """A data set that is part of a library."""

    def status(self, root: Path | None = None) -> Status:
        """Always "embedded"."""
        return "embedded"

    def where(self, root: Path | None = None) -> Path | None:
        """Always None."""
        return None

    def _task(self, x: np.ndarray, y: np.ndarray, scale: float) -> Task:
        splits = cut(x, y.astype(np.int64), self.counts)
        return Task(self.name, self.shape, self.classes, *splits, scale=scale, source="embedded", sha256=digest(*splits))


class Digits(Embedded):
    """1,797 real handwritten digits, 8×8, grey values 0 … 16, as uint8 with scale 1/16.

    The rows are shuffled once by a fixed permutation, not stratified: 1,197 to train, 300 to validate, 300 to test.
    scikit-learn's own order groups the writers, so a split by position would compare different hands.
    """

    name = "digits"
    about = "1,797 real handwritten digits, 8×8 (scikit-learn)"
    licence = "CC BY 4.0 (UCI: Optical Recognition of Handwritten Digits)"
    counts = (1197, 300, 300)

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU."""
        table = np.loadtxt(places.installed("sklearn/datasets/data/digits.csv.gz"), delimiter=",", dtype=np.uint8)
        order = np.random.RandomState(0).permutation(len(table))  # NumPy froze this generator: the split never moves
        x, y = table[order, :-1].reshape(-1, *self.shape), table[order, -1]
        return self._task(x, y, scale=1 / 16)


class TwoMoons(Embedded):
    """Two interleaved half circles in the plane with Gaussian noise 0.1: 300 points for each split, float32."""

    name = "two-moons"
    about = "two interleaved half circles, noise 0.1, 300 points per split (scikit-learn)"
    licence = "none: computed"
    counts = (300, 300, 300)

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        """The data set as tensors on the CPU."""
        from sklearn.datasets import make_moons

        parts = [make_moons(n_samples=count, noise=0.1, random_state=seed) for seed, count in enumerate(self.counts)]
        x = np.concatenate([points for points, _ in parts]).astype(np.float32)
        return self._task(x, np.concatenate([labels for _, labels in parts]), scale=1.0)
