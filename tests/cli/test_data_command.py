from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.hypers import DATASETS
from tests.cli.helpers import Invoke, read


@pytest.fixture(autouse=True)
def _no_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_DATA", str(folder / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def test_list(invoke: Invoke) -> None:
    rows = {row["dataset"]: row for row in read(invoke("data", "list", "--json"))}
    assert set(rows) == set(DATASETS)
    assert rows["digits"]["status"] == "embedded"
    assert rows["mnist"]["status"] == "missing"
    assert rows["mnist"]["folder"] is None
    assert len(invoke("data", "list").stdout.splitlines()) == 1 + len(DATASETS)


def test_get_what_needs_nothing(invoke: Invoke) -> None:
    result = invoke("data", "get", "digits", "two-moons")
    assert (result.exit_code, result.stdout) == (0, "digits\tembedded\ntwo-moons\tembedded\n")


def test_all_that_is_missing_is_told_with_the_command_that_mends_it(invoke: Invoke) -> None:
    result = invoke("data", "verify", "mnist", "digits", "mnist-rot")
    assert result.exit_code == 65
    assert "nftlab data get mnist" in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert "digits: embedded" in result.stdout
    assert "sha256" in result.stdout


def test_what_is_not_made_says_so(invoke: Invoke) -> None:
    result = invoke("data", "make", "mnist")
    assert result.exit_code == 2
    assert "mnist" in result.stderr


def test_all_wrong_names_are_told_before_anything_is_done(invoke: Invoke) -> None:
    result = invoke("data", "verify", "digits", "mnsit", "x")
    assert result.exit_code == 2
    assert "did you mean 'mnist'" in result.stderr
    assert "'x'" in result.stderr
    assert result.stdout == ""
