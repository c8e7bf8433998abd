"""Kinds of jobs are timed before anything is launched, and workers find what was seen."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from nftlab.spec import load_text
from nftlab.store import Kind, kinds_of
from nftlab.worker.budget import Wishes
from nftlab.worker.timing import time_kinds
from tests.worker.conftest import Lab, spawned

SWEEP = """
name: asked
parameters:
  dataset: {values: [mnist, digits]}
  algorithm: {value: ct}
  lr: {values: [0.001, 0.002]}
method: grid
nftlab: {seeds: 2}
"""


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Kind]:
    """Jobs on a data set that is not here, and on one that is."""
    monkeypatch.setenv("NFTLAB_DATA", str(tmp_path / "nothing"))
    return kinds_of([load_text(SWEEP)])


@pytest.mark.ci
def test_timed_once_remembered_and_found_by_workers(lab: Lab, kinds: list[Kind], capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with Wishes(None) as wishes:
        first = list(time_kinds(lab.engine, kinds, lab.options(), wishes, said.append))
        again = list(time_kinds(lab.engine, kinds, lab.options(), wishes, said.append))
    assert first == again
    digits, mnist = first
    assert (digits.kind.config["dataset"], mnist.kind.config["dataset"]) == ("digits", "mnist")
    assert digits.speed is not None
    assert 1 <= digits.speed.lanes <= 4
    assert mnist.speed is None
    assert "nftlab data get mnist" in mnist.why
    assert len(said) == 1
    assert lab.jobs() == []
    assert spawned(os.getpid()) == []
    lab.sweep(lr=[0.001, 0.002], seeds=2)
    assert lab.work() == 0
    assert "measured in" not in capfd.readouterr().err


def test_a_stop_ends_it(lab: Lab, kinds: list[Kind]) -> None:
    with Wishes(None) as wishes:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()  # while the trainer loads torch
        assert list(time_kinds(lab.engine, kinds, lab.options(), wishes, print)) == []
        assert wishes.exit_code == 130
    assert spawned(os.getpid()) == []
