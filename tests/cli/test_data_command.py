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
    assert rows["wines"]["commands"] == ["nftlab data make wines"]  # get only tells where its file is to be had
    assert rows["convex"]["commands"] == ["nftlab data make convex", "nftlab data get convex"]
    lines = invoke("data", "list").stdout.splitlines()
    assert len(lines) == 1 + len(DATASETS)
    assert lines[0] == "data set\tstatus\trows\tfolder or command\tabout"
    table = {line.split("\t")[0]: line for line in lines[1:]}
    assert "1,197 + 300 + 300\t–\t" in table["digits"]
    assert "missing\t50,000 + 10,000 + 10,000\tnftlab data get mnist\t" in table["mnist"]
    assert table["mnist"].endswith("; CC BY-SA 3.0")


def test_every_data_set_is_somewhere_or_has_a_command_that_brings_it(invoke: Invoke) -> None:
    for row in read(invoke("data", "list", "--json")):
        assert row["licence"]
        assert (row["status"] == "embedded") != bool(row["commands"])


def test_a_data_set_with_a_line_in_one_dictionary_only_is_one_line_on_stderr(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from nftlab.data import DATASETS as CLASSES
    from nftlab.data.embedded import TwoMoons

    class Vino(TwoMoons):
        name = "vino"

    monkeypatch.setitem(CLASSES, "vino", Vino())
    result = invoke("data", "list")
    assert result.exit_code == 65
    assert result.stderr.count("\n") == 1
    assert "DATASETS in nftlab/hypers.py has no line for it" in result.stderr


def test_several_are_made_at_once_and_listed_with_their_folders(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nftlab.data import DATASETS
    from nftlab.data.rectangles import Rectangles, RectanglesImage

    for kind in (Rectangles, RectanglesImage):
        monkeypatch.setitem(DATASETS, kind.name, kind((40, 20, 40)))
    result = invoke("data", "make", "rectangles", "rectangles-image", "--seed", "3")
    folders = [str(folder / "data" / name / "made-1-seed3") for name in ("rectangles", "rectangles-image")]
    assert result.exit_code == 0
    assert result.stdout == f"rectangles\t{folders[0]}\nrectangles-image\t{folders[1]}\n"
    rows = {row["dataset"]: row for row in read(invoke("data", "list", "--json"))}
    assert (rows["rectangles"]["status"], rows["rectangles"]["folder"]) == ("made", folders[0])
    assert folders[1] in invoke("data", "list").stdout


def test_what_is_made_anew_says_what_it_replaces(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from nftlab.data import DATASETS
    from nftlab.data.rectangles import Rectangles

    monkeypatch.setitem(DATASETS, "rectangles", Rectangles((40, 20, 40)))
    for _ in range(2):
        assert "replaces" not in invoke("data", "make", "rectangles").stderr
    assert 'rectangles: "made, seed 7" replaces "made, seed 0"' in invoke("data", "make", "rectangles", "--seed", "7").stderr
    assert "is replaced" in invoke("data", "make", "--help").stdout


def test_what_was_found_as_json(invoke: Invoke) -> None:
    import json

    result = invoke("data", "verify", "digits", "mnist", "--json")
    assert result.exit_code == 65
    digits, mnist = json.loads(result.stdout)
    assert (digits["dataset"], digits["error"]) == ("digits", None)
    assert "train: 1197 × (1, 8, 8) uint8, labels 0–9" in digits["found"]
    assert (mnist["dataset"], mnist["found"]) == ("mnist", [])
    assert "mnist" in mnist["error"]


def test_an_encoder_is_for_wines_alone(invoke: Invoke) -> None:
    result = invoke("data", "make", "wines", "convex", "--encoder", "any")
    assert result.exit_code == 2
    assert "--encoder is for wines alone" in result.stderr


def test_wines_without_their_file_say_where_it_is_to_be_had(invoke: Invoke, folder: Path) -> None:
    for command in (["get", "wines"], ["get", "wines-tfidf"], ["make", "wines", "--encoder", "any"]):
        result = invoke("data", *command)
        assert result.exit_code == 65
        assert "download winemag-data-130k-v2.csv from https://www.kaggle.com" in result.stderr
        assert str(folder / "data" / "wines") in result.stderr


def test_what_can_only_be_had_by_hand_says_so_when_it_is_to_be_made(invoke: Invoke) -> None:
    result = invoke("data", "make", "wines-tfidf")
    assert result.exit_code == 2
    assert "no recipe to make wines-tfidf by; download winemag-data-130k-v2.csv from https://www.kaggle.com" in result.stderr


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
    assert "no recipe to make mnist by; run `nftlab data get mnist`" in result.stderr


def test_a_seed_that_the_generator_does_not_take_is_refused(invoke: Invoke) -> None:
    result = invoke("data", "make", "rectangles", "--seed", str(2**32))
    assert result.exit_code == 2
    assert "--seed" in result.stderr


def test_all_wrong_names_are_told_before_anything_is_done(invoke: Invoke) -> None:
    result = invoke("data", "verify", "digits", "mnsit", "x")
    assert result.exit_code == 2
    assert "did you mean 'mnist'" in result.stderr
    assert "'x'" in result.stderr
    assert result.stdout == ""
