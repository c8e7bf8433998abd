"""Checkpoints on disk: whole or refused, and what a full disk says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from nftlab.errors import ConfigError, DataError, DiskError
from nftlab.train import Checkpoint, Pack, checkpoint
from tests.train import tiny

SMALL = Checkpoint({"a": torch.arange(300.0), "b": torch.tensor(3)}, {"epoch": 7, "note": "ü"})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path, sha = checkpoint.save(tmp_path / "new" / "folder", SMALL)
    assert path.name == "epoch-000007.safetensors"
    assert tiny.same(checkpoint.load(path, sha), SMALL)
    assert tiny.same(checkpoint.load(str(path)), SMALL)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name_and_the_name_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def synced(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}")
        sync(handle)

    def renamed(aside: Path, path: Path) -> None:
        steps.append("name")
        rename(aside, path)

    monkeypatch.setattr("nftlab.train.checkpoint.os.fsync", synced)
    monkeypatch.setattr("nftlab.train.checkpoint.os.replace", renamed)
    path, _ = checkpoint.save(tmp_path, SMALL)
    assert steps == [f"file of {path.stat().st_size}", "name", "folder"]


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoint.save_best(tmp_path, SMALL)
    for epoch in range(8, 12):
        checkpoint.save(tmp_path, Checkpoint(SMALL.tensors, {"epoch": epoch}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "epoch-000010.safetensors", "epoch-000011.safetensors"]
    assert checkpoint.save(tmp_path, SMALL)[0].is_file(), "what was just written stays, whatever its epoch"


@pytest.mark.parametrize("length", [0, 5, 40, 400, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    path, sha = checkpoint.save(tmp_path, SMALL)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="corrupt or cut short"):
        checkpoint.load(path)
    with pytest.raises(DataError, match="sha256 differs"):
        checkpoint.load(path, sha)


def test_other_content_than_was_written_is_refused(tmp_path: Path) -> None:
    path, sha = checkpoint.save(tmp_path, SMALL)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="sha256 differs"):
        checkpoint.load(path, sha)
    with pytest.raises(DataError, match="cannot be read"):
        checkpoint.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("meta", ["[1]", "1", "nothing"])
def test_a_file_of_somebody_elses_making_is_refused(tmp_path: Path, meta: str) -> None:
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "theirs.safetensors", {"nftlab": meta})
    with pytest.raises(DataError, match="corrupt"):
        checkpoint.load(tmp_path / "theirs.safetensors")


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError, match=r"file/epoch-000007.safetensors cannot be written: .*NFTLAB_RUNS"):
        checkpoint.save(tmp_path / "file", SMALL)


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from nftlab.errors import DiskError
from nftlab.train.checkpoint import Checkpoint, load, save
folder = Path(sys.argv[1])
first = save(folder, Checkpoint({"a": torch.zeros(10)}, {"epoch": 1}))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    save(folder, Checkpoint({"a": torch.zeros(5000)}, {"epoch": 2}))
except DiskError as error:
    assert "epoch-000002.safetensors" in str(error) and "free space" in str(error), error
    assert [path.name for path in folder.iterdir()] == ["epoch-000001.safetensors"]
    assert load(*first).meta == {"epoch": 1}
    print("refused")
"""


@pytest.mark.ci
def test_a_full_disk_is_a_disk_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


def test_a_checkpoint_of_another_trial_is_refused() -> None:
    one, other = tiny.members(2)
    with pytest.raises(ConfigError, match="other hyper-parameters or seed"):
        Pack(tiny.task(), [other]).restore(other.key, Pack(tiny.task(), [one]).checkpoint(one.key))
    seed = replace(one, seed=1)
    with pytest.raises(ConfigError, match="other hyper-parameters or seed"):
        Pack(tiny.task(), [seed]).restore(seed.key, Pack(tiny.task(), [one]).checkpoint(one.key))


def test_a_checkpoint_that_lacks_a_tensor_is_refused() -> None:
    pack = Pack(tiny.task(), tiny.members(1))
    whole = pack.checkpoint("lane-0")
    part = Checkpoint({key: t for key, t in whole.tensors.items() if not key.endswith("out.bias")}, whole.meta)
    with pytest.raises(DataError, match=r"out\.bias"):
        pack.restore("lane-0", part)


@pytest.mark.parametrize("fields", [{"algorithm": "nft", "n_f": 2}, {"algorithm": "ct", "optimizer": "sgd"}])
def test_a_checkpoint_goes_from_one_way_of_training_to_another(fields: dict[str, Any]) -> None:
    data, lanes = tiny.task(n=33), tiny.members(3, network="cnn-a", **fields)
    usual = tiny.trained(data, lanes, epochs=3)
    for way, other in (("apart", "mapped"), ("mapped", "apart")):
        first, second = Pack(data, lanes, way=way), Pack(data, lanes, way=other)
        for _ in range(2):
            first.train_epoch()
        for lane in lanes:
            second.restore(lane.key, first.checkpoint(lane.key))
            assert tiny.same(second.checkpoint(lane.key), first.checkpoint(lane.key))
        second.train_epoch()
        for lane in lanes:
            mine, expected = second.checkpoint(lane.key), usual.checkpoint(lane.key)
            assert all(tiny.distance(tiny.network(mine, name), tiny.network(expected, name)) <= 1e-9 for name in tiny.names(expected))
