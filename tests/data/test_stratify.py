"""Validation rows of every class in its share."""

from __future__ import annotations

import numpy as np

from nftlab.data.stratify import stratified


def test_every_class_gives_its_share_and_every_row_is_used_once() -> None:
    labels = np.random.RandomState(0).choice(3, 1000, p=[0.6, 0.3, 0.1])
    train, valid = stratified(labels, 200)
    assert np.array_equal(np.sort(np.concatenate([train, valid])), np.arange(1000))
    assert np.array_equal(np.bincount(labels[valid]), [round(200 * share / 1000) for share in np.bincount(labels)])
    assert (np.diff(train) > 0).all()
    assert (np.diff(valid) > 0).all()


def test_it_is_the_draw_that_is_described() -> None:
    labels = np.array([1, 0] * 10)
    random = np.random.RandomState(1)
    expected = []
    for rows in (list(range(1, 20, 2)), list(range(0, 20, 2))):
        random.shuffle(rows)
        expected += rows[:3]
    assert stratified(labels, 6)[1].tolist() == sorted(expected)
