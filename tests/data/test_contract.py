"""What every data set promises, over the whole family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nftlab import hypers
from nftlab.data import DATASETS, Task, load
from nftlab.data.base import Dataset
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
