"""Taking validation rows out of training rows, class by class."""

from __future__ import annotations

import numpy as np


def stratified(labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (ascending) to train on and rows to validate on: of each class its share of about `size`, drawn by one NumPy generator.

    Classes in ascending order, each shuffled, the first round(size · share) of it taken out.
    """
    random = np.random.RandomState(1)  # as the NFT code seeds
    valid = np.zeros(len(labels), bool)
    for value in np.unique(labels):
        rows = np.flatnonzero(labels == value)
        random.shuffle(rows)
        valid[rows[: round(size * len(rows) / len(labels))]] = True
    return np.flatnonzero(~valid), np.flatnonzero(valid)
