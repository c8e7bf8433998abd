"""The published tables and the made images, their cache, and which is used; on rotated MNIST where all are alike."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab.data import DATASETS
from nftlab.data.larochelle import Larochelle
from nftlab.data.mnist_rot import MnistRot
from nftlab.data.task import Task
from nftlab.errors import DataError, DiskError
from tests.data.formats import COUNTS, SMALL, RealData, digits28, put_archive, small, small_tables, write_small

ARCHIVE, TABLES = MnistRot.archive, MnistRot.tables
# SHA-256 of what is made with seed 0, of the small sets (their first digits) and of the whole: the same bytes on every machine.
# Whoever has to change one raises the data set's `recipe`.
SHA256 = {
    "mnist-rot": "50a510e93d57c5cf",
    "mnist-back-image": "9a75c6df10974161",
    "mnist-rot-back-image": "92257c78c402d026",
    "rectangles": "490fac3840e7334a",
    "rectangles-image": "ebc94f844f097840",
    "convex": "4270fe989ff008fd",
}
WHOLE_SHA256 = {
    "mnist-rot": "882abdaf663b9348d507bf09b67a028aa982a0d261f85c27de8787e961e1d7aa",
    "mnist-back-image": "00110a2e9fba4b45835d4478899da71acfd22845357da565ee2a657a89ea2418",
    "mnist-rot-back-image": "6ab0fdd5bf9fe971990dd6f0f472e8987bb07393654f88026ffbde58a539c699",
    "rectangles": "56814f2d01fd7f6a840c47e7dc0db880752eb97af5998afa6509fda4ab0cdf3d",
    "rectangles-image": "c7a06c899036ccad3c31fd02555f5b2b9567e309a763e15d9dcb79a8d5f05165",
    "convex": "1377fa7716b96da5e7dec39d3c87377608888acdd31f2d4cc9fd099389f6b40e",
}
FAMILY = {name: type(each) for name, each in DATASETS.items() if isinstance(each, Larochelle)}


@pytest.fixture(scope="module")
def tables() -> tuple[str, str]:
    return small_tables()


def put(root: Path, tables: tuple[str, str], names: tuple[str, str] = ("train.amat", "test.amat")) -> None:
    (root / "mnist-rot").mkdir(parents=True, exist_ok=True)
    for name, table in zip(names, tables, strict=True):
        (root / "mnist-rot" / name).write_text(table)


def upright(task: Task) -> bool:
    """Whether the task holds the digits that the tables were written from, as they were before they were written."""
    images, labels = digits28(sum(COUNTS))
    found = torch.cat([task.train.x, task.valid.x, task.test.x])[:, 0].numpy()
    every = torch.cat([task.train.y, task.valid.y, task.test.y]).numpy()
    return np.allclose(found, images / 255, atol=1e-6) and np.array_equal(every, labels) and found.dtype == np.float32


@pytest.mark.parametrize("names", [("train.amat", "test.amat"), TABLES])
def test_loose_tables_are_read_upright_under_either_name(names: tuple[str, str], tables: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path, tables, names)
    data = MnistRot(counts=COUNTS)
    task = data.load(tmp_path)
    assert upright(task)
    assert (task.source, task.scale, data.status(tmp_path)) == ("official", 1.0, "ready")
    assert "train: 20 × (1, 28, 28) float32, labels 0–9" in data.verify(tmp_path)


@pytest.mark.parametrize("prefix", ["", "mnist_rotation_new/"])
def test_the_archive_is_read_as_it_is(prefix: str, tables: tuple[str, str], tmp_path: Path) -> None:
    data = MnistRot(counts=COUNTS, published=put_archive(tmp_path, tables, prefix))
    assert upright(data.load(tmp_path))
    assert data.get(tmp_path) == []  # it is here: nothing to fetch


def test_a_stored_row_is_the_image_column_by_column(tmp_path: Path) -> None:
    """The axis order without our own writer: pixel 1 of a row is the second from the top in the leftmost column."""
    row = ["0"] * 785
    row[1], row[784] = "1", "7"
    put(tmp_path, (" ".join(row) + "\n" + " ".join(row), " ".join(row)))
    task = MnistRot(counts=(1, 1, 1)).load(tmp_path)
    assert task.train.x[0, 0].nonzero().tolist() == [[1, 0]]
    assert task.train.y.tolist() == [7]


def test_damaged_archive_is_refused_by_checksum(tables: tuple[str, str], tmp_path: Path) -> None:
    data = MnistRot(counts=COUNTS, published=put_archive(tmp_path, tables))
    path = tmp_path / "mnist-rot" / ARCHIVE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{ARCHIVE} is damaged: its md5 is \w+, published \w+; run `nftlab data get mnist-rot`"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda text: text[: len(text) // 2], "short or not all numbers|29 rows|rows, 15 expected"),
        (lambda text: text.replace(" 0 ", " x ", 1), "damaged after row"),
        (lambda text: text.replace(" 0 ", " nan ", 1), "row 1 is short or not all numbers"),
        (lambda text: "\n".join(line + " 1" for line in text.splitlines()), "786 columns, 785 expected"),
        (lambda text: "\n".join(line[:-1] + "1.5" for line in text.splitlines()), "labels that are not whole numbers"),
        (lambda text: text + text, "30 rows, 15 expected"),
        (lambda text: "", "damaged after row 0"),
    ],
)
def test_a_damaged_table_is_named_and_leaves_nothing_behind(spoil, what: str, tables: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path, (tables[0], spoil(tables[1])))
    with pytest.raises(DataError, match=rf"test\.amat.*({what}).*; replace it"):
        MnistRot(counts=COUNTS).load(tmp_path)
    assert sorted(path.name for path in (tmp_path / "mnist-rot").iterdir()) == ["test.amat", "train.amat"]


def test_tables_are_parsed_once_and_again_when_they_change(
    tables: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, tables)
    data = MnistRot(counts=COUNTS)
    seen: list[str] = []
    first = data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert seen == ["reading train.amat", "reading test.amat"]
    data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert len(seen) == 2
    old = tmp_path / "mnist-rot" / "test.amat"
    (tmp_path / "mnist-rot" / "test.amat").write_text(tables[1].replace("\n", "\n ", 1))
    os.utime(old, ns=(time.time_ns(), time.time_ns() + 10**9))
    again = data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert len(seen) == 4
    assert again.sha256 == first.sha256
    monkeypatch.setattr(MnistRot, "parser", MnistRot.parser + 1)
    data.load(tmp_path, lambda what, done, total: seen.append(what))
    assert len(seen) == 6, "what an older nftlab parsed is out of date"
    assert len(list((tmp_path / "mnist-rot").glob("parsed-*"))) == 1


def test_the_cache_of_published_tables_outlives_them(tables: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path, tables)
    data = MnistRot(counts=COUNTS)
    first = data.load(tmp_path)
    for path in (tmp_path / "mnist-rot").glob("*.amat"):
        path.unlink()
    assert data.status(tmp_path) == "ready"
    assert data.load(tmp_path).sha256 == first.sha256


def test_a_root_that_cannot_be_written_leaves_the_cache_to_the_user(tables: tuple[str, str], tmp_path: Path) -> None:
    mnist = write_small(tmp_path / "root")
    (tmp_path / "root" / "mnist-rot").write_text("a file where the folder should be: unwritable even for root")
    data = MnistRot(mnist, SMALL)
    folder = data.make(tmp_path / "root")
    assert folder.is_relative_to(tmp_path / "user-cache")
    assert data.load(tmp_path / "root").source == "made from MNIST, seed 0"
    shutil.rmtree(tmp_path / "user-cache")
    (tmp_path / "user-cache").write_text("no folder either")
    with pytest.raises(DiskError, match=r"cannot write .* or .*; set NFTLAB_DATA"):
        data.make(tmp_path / "root")


def test_only_what_was_made_last_is_kept(tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), SMALL)
    for seed in (0, 1):
        data.make(tmp_path, seed)
    assert [path.name for path in (tmp_path / "mnist-rot").iterdir()] == ["made-1-seed1"]
    assert data.status(tmp_path) == "made"


def test_published_tables_are_preferred_to_made_images(tables: tuple[str, str], tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), COUNTS)
    data.make(tmp_path)
    assert data.load(tmp_path).source.startswith("made")
    put(tmp_path, tables)
    assert data.load(tmp_path).source == "official"


def test_making_without_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mnist is not here.*nftlab data get mnist"):
        DATASETS["mnist-rot"].make(tmp_path)


@pytest.mark.parametrize("file", ["x.npy", "y.npy", "meta.json"])
@pytest.mark.parametrize("kept", [0, 60])
def test_a_cache_cut_short_is_refused_and_making_again_mends_it(file: str, kept: int, tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), SMALL)
    folder = data.make(tmp_path)
    (folder / file).write_bytes((folder / file).read_bytes()[:kept])
    with pytest.raises(DataError, match=r"made-1-seed0 is damaged.*nftlab data make mnist-rot"):
        data.load(tmp_path)
    data.make(tmp_path)
    assert data.verify(tmp_path)


def test_a_damaged_set_is_made_anew_with_its_own_seed(tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), SMALL)
    folder = data.make(tmp_path, 7)
    (folder / "x.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"made-1-seed7 is damaged.*; run `nftlab data make mnist-rot --seed 7`"):
        data.verify(tmp_path)


def test_what_was_made_tells_its_source_and_a_damaged_one_its_name(tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), SMALL)
    assert data.made(tmp_path) is None
    folder = data.make(tmp_path, 7)
    assert data.made(tmp_path) == "made from MNIST, seed 7"
    (folder / "meta.json").write_text("")
    assert data.made(tmp_path) == "made-1-seed7"


def test_a_flipped_pixel_in_the_cache_is_found_by_verify(tables: tuple[str, str], tmp_path: Path) -> None:
    data = MnistRot(counts=COUNTS, published=put_archive(tmp_path, tables))
    data.load(tmp_path)
    (x,) = (tmp_path / "mnist-rot").glob("parsed-*/x.npy")
    content = bytearray(x.read_bytes())
    content[-2] ^= 1
    x.write_bytes(content)
    with pytest.raises(DataError, match=r"sha256 is .* when it was written; run `nftlab data get mnist-rot`"):
        data.verify(tmp_path)
    data.get(tmp_path)  # the archive is whole: parsing it again is enough
    assert data.verify(tmp_path)


def test_writing_to_what_was_loaded_changes_nothing_on_disk(tmp_path: Path) -> None:
    data = MnistRot(write_small(tmp_path), SMALL)
    data.make(tmp_path)
    task = data.load(tmp_path)
    task.train.x.zero_()
    assert data.load(tmp_path).train.x.max() > 0


@pytest.mark.parametrize("name", FAMILY)
def test_every_archive_is_read_upright(name: str, tmp_path: Path) -> None:
    kind = FAMILY[name]
    classes = DATASETS[name].classes
    data = kind(counts=COUNTS, published=put_archive(tmp_path, small_tables(classes), "folder/", kind))
    task = data.load(tmp_path)
    images, labels = digits28(sum(COUNTS))
    assert task.source == "official"
    assert np.allclose(torch.cat([task.train.x, task.valid.x, task.test.x])[:, 0].numpy(), images / 255, atol=1e-6)
    assert np.array_equal(torch.cat([task.train.y, task.valid.y, task.test.y]).numpy(), labels % classes)
    assert data.verify(tmp_path)


@pytest.mark.parametrize("name", FAMILY)
def test_made_images_depend_on_the_seed_only(name: str, tmp_path: Path) -> None:
    data = small(DATASETS[name], tmp_path)
    tasks = []
    for seed in (0, 1, 0):
        assert data.make(tmp_path, seed).is_relative_to(tmp_path)
        tasks.append(data.load(tmp_path))
    assert tasks[0].sha256 == tasks[2].sha256 != tasks[1].sha256
    assert tasks[1].source == f"{FAMILY[name].made_from}, seed 1"
    assert tasks[0].train.x.dtype == torch.uint8
    assert tasks[0].sha256.startswith(SHA256[name])


@pytest.mark.ci
@pytest.mark.parametrize("name", FAMILY)
def test_the_whole_problem_is_the_same_everywhere(name: str, real_data: RealData, tmp_path: Path) -> None:
    if not real_data.whole:
        pytest.skip("the whole of MNIST is not here")
    (tmp_path / "mnist").symlink_to(real_data.root / "mnist")
    data = DATASETS[name]
    data.make(tmp_path)
    assert data.verify(tmp_path)
    assert data.load(tmp_path).sha256 == WHOLE_SHA256[name]
