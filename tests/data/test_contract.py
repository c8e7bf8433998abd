"""What every data set promises, over the whole family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab import hypers
from nftlab.data import DATASETS, Task, load
from nftlab.data.base import Dataset, Progress, silent
from nftlab.data.embedded import Embedded
from nftlab.data.task import Split
from nftlab.errors import DataError, NotFoundError, UsageError
from tests.data.formats import RealData, small

DRAWN = ("rectangles", "convex")  # shapes drawn independently: one may be drawn again


def at_hand(dataset: Dataset, real_data: RealData, tmp_path: Path) -> tuple[Dataset, Path]:
    """The data set and a root where it can be loaded: itself where the data are here, else a small one of its format."""
    if dataset.name == "mnist":
        return real_data.mnist, real_data.root
    return small(dataset, tmp_path), tmp_path


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_keeps_its_promises(name: str, real_data: RealData, tmp_path: Path) -> None:
    assert DATASETS[name].name == name
    dataset, root = at_hand(DATASETS[name], real_data, tmp_path)
    assert dataset.about
    assert dataset.licence
    assert dataset.status(root) != "missing"
    task = dataset.load(root)
    counts, shape = dataset.expected(task)
    for split, count in zip((task.train, task.valid, task.test), counts, strict=True):
        assert split.x.shape == (count, *shape)
        assert split.x.dtype in (torch.uint8, torch.float32)
        assert split.x[0:count].is_contiguous()
        assert split.y.dtype == torch.int64
        assert len(split) == count
        assert set(split.y.unique().tolist()) == set(range(hypers.DATASETS[name].classes))
    assert (task.name, task.shape, task.classes) == (name, shape, hypers.DATASETS[name].classes)
    assert shape == hypers.DATASETS[name].shape or name == "wines"  # whose width is its encoder's
    assert no_example_twice(task) or name in DRAWN
    assert same(task, dataset.load(root))
    assert any(task.sha256 in line for line in dataset.verify(root))


@pytest.mark.parametrize("name", DATASETS)
def test_images_are_in_the_unit_interval_once_scaled(name: str, real_data: RealData, tmp_path: Path) -> None:
    dataset, root = at_hand(DATASETS[name], real_data, tmp_path)
    task = dataset.load(root)
    if len(task.shape) == 3:
        seen = task.train.x.float() * task.scale
        assert 0 <= seen.min() < 0.1
        assert 0.9 < seen.max() <= 1


@pytest.mark.parametrize("name", DATASETS)
def test_a_part_is_marked_and_keeps_the_classes(name: str, real_data: RealData, tmp_path: Path) -> None:
    dataset, root = at_hand(DATASETS[name], real_data, tmp_path)
    task = dataset.load(root)
    part = task.part(0.5)
    assert part.source == f"{task.source}, 50 % of its rows"
    assert part.sha256 != task.sha256
    for some, every in ((part.train, task.train), (part.valid, task.valid), (part.test, task.test)):
        assert len(some) == some.x.shape[0] == round(len(every) / 2)
        assert some.x.dtype == every.x.dtype
    assert 0 < (part.train.y == 0).sum() < len(part.train)
    assert torch.equal(part.train.x[0:1], task.train.x[0:1])


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].status() != "embedded"])
def test_missing_data_name_the_command_that_brings_them(name: str, tmp_path: Path) -> None:
    assert DATASETS[name].status(tmp_path) == "missing"
    assert DATASETS[name].where(tmp_path) is None
    with pytest.raises(DataError, match=f"{name} is not here.*nftlab data get {name}"):
        load(name, tmp_path)
    with pytest.raises(DataError, match=f"nftlab data get {name}"):
        DATASETS[name].verify(tmp_path)


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].status() == "embedded"])
def test_embedded_data_need_nothing(name: str, tmp_path: Path) -> None:
    assert DATASETS[name].get(tmp_path) == []
    assert DATASETS[name].where(tmp_path) is None
    with pytest.raises(UsageError, match=f"no recipe to make {name}"):
        DATASETS[name].make(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_family_is_the_one_that_sweep_files_may_name() -> None:
    assert list(DATASETS) == list(hypers.DATASETS)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'digits'"):
        load("digit")


def test_digits_are_the_same_on_every_machine() -> None:
    assert load("digits").sha256 == "ff71a1663a08949399cfd01b6ca1fadac2d3203362f3393801706feee5de066e"


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    dataset = DATASETS["two-moons"]
    task = dataset.load()
    wrong = Split(task.test.x, torch.cat([task.test.y[:-1], torch.tensor([label])]))
    with pytest.raises(DataError, match=r"test split: labels .*, 0 … 1 expected"):
        dataset.check(replace(task, test=wrong))


class Own(Embedded):
    """A data set of one's own, 5 numbers and 3 classes, as it should be unless told otherwise."""

    name = "own"
    counts = (20, 10, 10)

    def __init__(self, width: int = 5, first: int = 0, rows: int = 40, dtype: type = np.float32) -> None:
        self.x = np.zeros((rows, width), dtype)
        self.y = np.arange(rows) % 3 + first

    def load(self, root: Path | None = None, progress: Progress = silent) -> Task:
        return self._task(self.x, self.y, scale=1.0)


@pytest.mark.parametrize(
    ("own", "wrong"),
    [
        (Own(width=6), r"train split: shapes \(20, 6\) and \(20,\), \(20, 5\) and \(20,\) expected"),
        (Own(first=1), r"train split: labels 1 … 3, 0 … 2 expected"),
        (Own(rows=35), r"test split: shapes \(5, 5\) and \(5,\), \(10, 5\) and \(10,\) expected"),
        (Own(dtype=np.float64), r"train split: types torch.float64 and torch.int64, uint8 or float32 and int64 expected"),
    ],
    ids=["shape", "labels", "counts", "types"],
)
def test_a_wrong_data_set_of_ones_own_is_not_trained_on(own: Own, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "own", Own())
    monkeypatch.setitem(hypers.DATASETS, "own", hypers.DatasetShape((5,), 3))
    assert len(load("own").test) == 10
    monkeypatch.setitem(DATASETS, "own", own)
    where = "counts are those of Own, shape and classes those of DATASETS in nftlab/hypers.py"
    for look in (lambda: load("own"), own.verify):
        with pytest.raises(DataError, match=f"own, {wrong}; {where}"):
            look()


def test_a_split_without_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hypers.DATASETS, "own", hypers.DatasetShape((5,), 3))
    own = Own(rows=30)
    monkeypatch.setattr(own, "counts", (20, 0, 10), raising=False)
    with pytest.raises(DataError, match="own, valid split: no rows"):
        own.verify()


def test_a_task_that_says_another_shape_than_its_data_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    two_moons = DATASETS["two-moons"]
    with pytest.raises(DataError, match=r"two-moons: a task of shape \(3,\) and 2 classes, \(2,\) and 2 expected"):
        two_moons.check_form(replace(two_moons.load(), shape=(3,)))


def test_a_data_set_that_sweep_files_may_not_name_says_which_line_is_missing() -> None:
    with pytest.raises(DataError, match=r"DATASETS in nftlab/hypers.py has no line for it; add \"own\": DatasetShape"):
        Own().shape  # noqa: B018


def test_a_name_without_its_class_says_which_line_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hypers.DATASETS, "own", hypers.DatasetShape((5,), 3))
    with pytest.raises(NotFoundError, match=r"no data set 'own'; .* DATASETS in nftlab/data/__init__.py has no line for it"):
        load("own")


def test_a_task_moves_with_all_its_splits() -> None:
    moved = load("two-moons").to("meta")
    assert {tensor.device.type for split in (moved.train, moved.valid, moved.test) for tensor in (split.x, split.y)} == {"meta"}
    assert moved.sha256 == load("two-moons").sha256


def same(a: Task, b: Task) -> bool:
    parts = [(getattr(a, name), getattr(b, name)) for name in ("train", "valid", "test")]
    return all(torch.equal(p.x[0 : len(p)], q.x[0 : len(q)]) and torch.equal(p.y, q.y) for p, q in parts) and a.sha256 == b.sha256


def no_example_twice(task: Task) -> bool:
    """Whether no example of one split is in another."""
    rows = [{row.tobytes() for row in split.x[0 : len(split)].numpy()} for split in (task.train, task.valid, task.test)]
    return len(rows[0] | rows[1] | rows[2]) == sum(map(len, rows))
