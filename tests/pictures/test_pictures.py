"""Pictures: the networks at an epoch are those that training had, and what is drawn is what the classifier is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nftlab import data
from nftlab.configuration import build
from nftlab.data import Task
from nftlab.errors import ConfigError, UsageError
from nftlab.pictures import make, snapshots, subjects
from nftlab.pictures.boundary import plane
from nftlab.pictures.examples import strip
from nftlab.report.load import load_report_text
from nftlab.train import Member, Pack
from nftlab.train.checkpoint import save
from tests.report.factory import Jobs, report_of

BOUNDARY = """
title: Moons
rows: {algorithm: {CT: ct, FT: ft, NFT: nft}}
columns: {dataset: [two-moons]}
seeds: 2
figure: {picture: boundary, epochs: [1, 3, 99]}
"""
MOONS = {"dataset": "two-moons", "network": "fc-a", "epochs": 6, "batch_size": 64, "lr": 0.01}
DIGITS = {"dataset": "digits", "network": "fc-a", "epochs": 4, "lr": 1e-3, "ratio_simp": 0.5}


def member(**config: object) -> Member:
    return Member("0123456789abcdef", 0, build({"algorithm": "nft", **config}))


def moons() -> Task:
    return data.load("two-moons")


def test_a_snapshot_has_the_numbers_of_training() -> None:
    who, pack = member(**MOONS), Pack(moons(), [member(**MOONS)])
    for _ in range(3):
        pack.train_epoch()
    wanted = pack.checkpoint(who.key).tensors
    first, third = snapshots(moons(), who, [3, 1])
    assert (first.epoch, third.epoch) == (1, 3)
    x, _ = third.examples(10)
    hidden, out = (
        (wanted[f"classifier/weights/{name}.weight"].view(shape), wanted[f"classifier/weights/{name}.bias"])
        for name, shape in (("hidden", (10, 2)), ("out", (2, 10)))
    )
    byhand = (torch.tanh(x @ hidden[0].T + hidden[1]) @ out[0].T + out[1]).softmax(-1)
    assert torch.allclose(third.probabilities(x), byhand, atol=1e-6)


def test_training_goes_on_from_a_stored_checkpoint_that_the_job_table_knows(tmp_path: Path) -> None:
    who, pack = member(**MOONS), Pack(moons(), [member(**MOONS)])
    folder, forged = tmp_path / "checkpoints" / who.key / "1", tmp_path / "checkpoints" / who.key / "2"
    sums = []
    for _ in range(2):
        pack.train_epoch()
        sums.append(save(folder, pack.checkpoint(who.key))[1])
    false = pack.checkpoint(who.key)
    false.tensors["classifier/weights/out.bias"] += 1
    save(forged, false)
    (forged / "epoch-of-somebody.safetensors").write_bytes(b"")
    (folder / "epoch-000001.safetensors").write_bytes(b"cut")
    trained: list[int] = []
    stored = list(snapshots(moons(), who, [2, 3], runs=tmp_path, sums=sums, progress=trained.append))
    assert trained == [3]
    assert list(snapshots(moons(), who, [2], runs=tmp_path, sums=[], progress=trained.append))
    assert trained == [3, 1, 2]
    anew = list(snapshots(moons(), who, [2, 3]))
    x, _ = anew[0].examples(20)
    for one, other in zip(stored, anew, strict=True):
        assert torch.equal(one.probabilities(x), other.probabilities(x))


def test_epochs_past_the_end_are_the_end() -> None:
    assert [one.epoch for one in snapshots(moons(), member(**MOONS), [5, 99, 6])] == [5, 6]


def test_a_job_that_diverges_has_nothing_to_show() -> None:
    with pytest.raises(ConfigError, match="diverged"):
        list(snapshots(moons(), member(**{**MOONS, "lr": 1e30, "algorithm": "ct"}), [6]))


@pytest.mark.parametrize("algorithm", ["ft", "nft"])
def test_what_is_shown_fades_and_perturbation_is_the_difference(algorithm: str) -> None:
    who = member(**DIGITS, algorithm=algorithm, **({"n_f": 4, "nu": 1} if algorithm == "nft" else {"iterations_simp": 10, "step_simp": 1}))
    early, late = (strip(one, 5) for one in snapshots(data.load("digits"), who, [1, 4]))
    assert early.original.shape == (8, 40, 1)
    assert early.largest > 0
    assert np.allclose(early.original[..., 0] + early.perturbation, early.simplified[..., 0], atol=1e-6)
    assert late.largest == 0
    assert np.array_equal(late.original, late.simplified)


def test_examples_have_the_labels_that_the_job_trains_on() -> None:
    (one,) = snapshots(moons(), member(**MOONS, algorithm="ct", label_noise=0.5, noise_recipe="flip"), [1])
    _, y = one.examples(300)
    assert y.ne(moons().train.y[:300]).sum() == 150


@pytest.mark.parametrize("algorithm", ["ct", "eef"])
def test_a_method_that_alters_nothing_shows_the_data_as_they_are(algorithm: str) -> None:
    (one,) = snapshots(moons(), member(**MOONS, algorithm=algorithm), [2])
    x, y = one.examples(64)
    assert torch.equal(one.shown(x, y), x)
    found = plane(one)
    assert found.probability.shape == (160, 160)
    assert np.array_equal(found.points, found.shown)


def test_pictures_of_other_data_are_refused() -> None:
    (points,) = snapshots(moons(), member(**MOONS), [1])
    (images,) = snapshots(data.load("digits"), member(**DIGITS, n_f=4, nu=1), [1])
    with pytest.raises(UsageError, match="not for digits"):
        plane(images)
    with pytest.raises(UsageError, match="not of two-moons"):
        strip(points, 4)


def moons_report(text: str = BOUNDARY) -> tuple[Jobs, object]:
    jobs = Jobs()
    for algorithm in ("ct", "nft"):
        for seed in (1, 0):
            jobs.add({**MOONS, "algorithm": algorithm}, seed, val_error=1.0, test_error=1.0)
    return jobs, load_report_text(text, "my/picture")


def test_each_cell_is_shown_by_its_lowest_seed_and_a_hole_stays_visible() -> None:
    jobs, spec = moons_report()
    report = report_of(jobs, spec)  # type: ignore[arg-type]
    assert [(one.label, one.job and one.job.seed, one.epochs, one.beyond) for one in subjects(report)] == [
        ("CT", 0, (1, 3, 6), (99,)),
        ("FT", None, (1, 3, 99), ()),
        ("NFT", 0, (1, 3, 6), (99,)),
    ]
    files = make(report)
    assert files == make(report)
    drawn = files["svg"].decode()
    for told in ("CT", "NFT", "FT: no finished run", "epoch 1, simplified", "epoch 6"):
        assert told in drawn
    assert files["png"].startswith(b"\x89PNG")
    assert files["pdf"].startswith(b"%PDF")


def test_a_report_without_a_picture_is_refused() -> None:
    jobs, spec = moons_report(BOUNDARY.replace("figure:", "notes: none #"))
    with pytest.raises(UsageError, match="has no picture"):
        subjects(report_of(jobs, spec))  # type: ignore[arg-type]
