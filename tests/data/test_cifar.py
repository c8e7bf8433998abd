"""CIFAR from records in the binary version: loose, in the archive, in part, damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab.data import DATASETS
from nftlab.data.cifar import Cifar10, Cifar100
from nftlab.data.task import Task
from nftlab.errors import DataError
from tests.data.formats import cifar_records, unpacked, write_cifar

KINDS = (Cifar10, Cifar100)


def every(task: Task) -> set[tuple[bytes, int]]:
    return {(x.numpy().tobytes(), int(y)) for split in (task.train, task.valid, task.test) for x, y in zip(split.x, split.y, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["", "{name}/{folder}", "{folder}"])
def test_files_are_found_where_people_put_them(kind: type[Cifar10], where: str, tmp_path: Path) -> None:
    data = write_cifar(kind, tmp_path, where=where.format(name=kind.name, folder=kind.folder))
    task = data.load(tmp_path)
    assert (task.source, task.scale) == ("official", 1 / 255)
    assert data.verify(tmp_path)
    assert data.get(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_archive_holds_the_same(kind: type[Cifar10], tmp_path: Path) -> None:
    loose = write_cifar(kind, tmp_path / "loose").load(tmp_path / "loose")
    packed = write_cifar(kind, tmp_path / "packed", packed=True)
    assert packed.load(tmp_path / "packed").sha256 == loose.sha256
    assert packed.get(tmp_path / "packed") == []


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_labels_then_planes_of_colour(kind: type[Cifar10], tmp_path: Path) -> None:
    data = write_cifar(kind, tmp_path)
    path = tmp_path / kind.name / kind.test
    record = bytearray(path.read_bytes())
    record[data.label_bytes - 1] = 7
    record[data.label_bytes + 1024 + 32 + 5] = 200  # green, second row, sixth column
    path.write_bytes(record)
    test = data.load(tmp_path).test
    assert test.y[0] == 7
    assert test.x[0, 1, 1, 5] == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_fifth_of_every_class_validates_and_rows_keep_their_order(kind: type[Cifar10], tmp_path: Path) -> None:
    task = write_cifar(kind, tmp_path).load(tmp_path)
    assert (len(task.train), len(task.valid), len(task.test)) == (400, 100, 100)
    assert set(task.valid.y.bincount().tolist()) == {100 // task.classes}
    content = b"".join((tmp_path / kind.name / name).read_bytes() for name in kind.train)
    size = kind.label_bytes + 3072
    pixels = [content[start + kind.label_bytes : start + size] for start in range(0, len(content), size)]
    for split in (task.train, task.valid):
        places = [pixels.index(x.numpy().tobytes()) for x in split.x[:20]]
        assert places == sorted(places)
    assert len(every(task)) == 600


def test_a_part_is_read_and_says_so(tmp_path: Path) -> None:
    write_cifar(Cifar10, tmp_path)
    data = DATASETS["cifar10"]
    task = data.load(tmp_path)
    assert task.source == "a part: 500 of 50,000 training and 100 of 10,000 test images"
    assert data.verify(tmp_path)[0] == f"cifar10: {task.source}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "0 bytes, a multiple of 3073 expected"),
        (cifar_records(Cifar10(), 3, 0)[:-1], "9218 bytes"),
        (bytes([10]) + bytes(3072), r"label 10, 0 … 9 expected"),
    ],
)
def test_damaged_records_are_named(content: bytes, what: str, tmp_path: Path) -> None:
    data = write_cifar(Cifar10, tmp_path)
    (tmp_path / "cifar10" / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(DataError, match=f"data_batch_3.bin is damaged: {what}.*nftlab data get cifar10"):
        data.load(tmp_path)


@pytest.mark.parametrize("cut", [0, -100])
def test_a_damaged_archive_is_refused_by_checksum(cut: int, tmp_path: Path) -> None:
    data = write_cifar(Cifar10, tmp_path, packed=True)
    path = tmp_path / "cifar10" / Cifar10.archive
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz is damaged: its md5 is .*nftlab data get cifar10"):
        data.load(tmp_path)


@pytest.mark.ci
def test_the_real_part_has_its_classes(tmp_path: Path) -> None:
    if not unpacked("cifar10", tmp_path):
        pytest.skip("no real CIFAR-10 here")
    task = DATASETS["cifar10"].load(tmp_path)
    assert task.source == "a part: 20,000 of 50,000 training and 5,000 of 10,000 test images"
    assert task.train.y.bincount().tolist() == [1600] * 10
    assert task.valid.y.bincount().tolist() == [400] * 10
    assert np.allclose(task.train.x.float().mean((0, 2, 3)) / 255, [0.49, 0.48, 0.45], atol=0.01)  # published channel means of CIFAR-10
    assert torch.equal(task.part(0.05).train.y, task.train.y[:800])
