"""MNIST from files in the published format: read, checked, refused when damaged."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab.data import Task, mnist
from nftlab.errors import DataError
from tests.data.formats import SMALL, RealData, digits28, idx, write_small

IMAGES = "train-images-idx3-ubyte"


@pytest.mark.ci  # importing torchvision takes longer than all other tests of this file
def test_published_sums_and_mirrors_are_those_torchvision_knows() -> None:
    import torchvision.datasets

    assert {(f"{name}.gz", sums.md5_gz) for name, sums in mnist.FILES.items()} == set(torchvision.datasets.MNIST.resources)
    assert set(mnist.MIRRORS) == set(torchvision.datasets.MNIST.mirrors)


def test_real_files_load_in_their_order(real_data: RealData) -> None:
    task = real_data.mnist.load(real_data.root)
    assert task.source == "official"
    if real_data.whole:
        assert task.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as in every tutorial
        assert task.test.y[:5].tolist() == [7, 2, 1, 0, 4]
        every = torch.cat([task.train.x, task.valid.x]).numpy()
        published = "6bbc9ace898e44ae57da46a324031adb"  # md5 of the uncompressed training images
        assert hashlib.md5(idx(every[:, 0])).hexdigest() == published


@pytest.mark.parametrize("gz", [False, True])
def test_plain_and_gzipped_files_hold_the_same(gz: bool, tmp_path: Path) -> None:
    task = write_small(tmp_path, gz=gz).load(tmp_path)
    images, labels = digits28(sum(SMALL))
    assert np.array_equal(torch.cat([task.train.x, task.valid.x, task.test.x])[:, 0].numpy(), images)
    assert np.array_equal(torch.cat([task.train.y, task.valid.y, task.test.y]).numpy(), labels)
    assert (len(task.train), len(task.valid), len(task.test)) == SMALL


def test_real_gzipped_files_hold_the_same_as_the_plain(real_data: RealData, tmp_path: Path) -> None:
    shutil.copytree(real_data.root / "mnist", tmp_path / "mnist", ignore=lambda _, names: [n for n in names if n in mnist.FILES])
    for name in mnist.FILES:
        if not (tmp_path / "mnist" / f"{name}.gz").exists():
            (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress((real_data.root / "mnist" / name).read_bytes(), 1))
    gz: Task = real_data.mnist.load(tmp_path)
    assert gz.sha256 == real_data.mnist.load(real_data.root).sha256


@pytest.mark.parametrize("gz", [False, True])
def test_a_flipped_byte_is_refused_by_checksum(gz: bool, tmp_path: Path) -> None:
    data = write_small(tmp_path, gz=gz)
    path = tmp_path / "mnist" / (f"{IMAGES}.gz" if gz else IMAGES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for call in (data.load, data.verify):
        with pytest.raises(DataError, match=f"{IMAGES}.*damaged.*published.*nftlab data get mnist"):
            call(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 500])
def test_a_truncated_archive_is_refused_by_checksum(kept: int, tmp_path: Path) -> None:
    data = write_small(tmp_path, gz=True)
    path = tmp_path / "mnist" / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=f"{IMAGES}.gz is damaged.*checksum|{IMAGES}.gz is damaged.*sha256"):
        data.load(tmp_path)


def test_one_missing_file_is_named(tmp_path: Path) -> None:
    data = write_small(tmp_path)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert data.status(tmp_path) == "missing"
    with pytest.raises(DataError, match=f"no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz in {tmp_path}"):
        data.load(tmp_path)


def test_labels_out_of_range_are_named(tmp_path: Path) -> None:
    write_small(tmp_path)
    path = tmp_path / "mnist" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    sums = {name: mnist.Checksums(hashlib.sha256((tmp_path / "mnist" / name).read_bytes()).hexdigest(), "") for name in mnist.FILES}
    with pytest.raises(DataError, match="mnist, test split: labels 0 … 11, 0 … 9 expected"):
        mnist.Mnist(sums, SMALL).verify(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not an idx file"),
        (b"\x00\x00\x0d\x01abcd", "not an idx file"),
        (idx(np.zeros((2, 3)))[:9], "ends in its header"),
        (idx(np.zeros((2, 3)))[:-1], r"17 bytes, 18 expected for \(2, 3\)"),
    ],
)
def test_what_is_no_idx_file_is_named(content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=f"some-file.*{what}"):
        mnist.read_idx(np.frombuffer(content, np.uint8), "some-file")
