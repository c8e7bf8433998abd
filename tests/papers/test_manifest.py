"""A paper's manifest: names below its own folder, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab import store
from nftlab.errors import NotFoundError, SpecError
from nftlab.papers import load_paper, papers, planned

PAPER = """
title: Mine
items:
  table1: {sweeps: [a, nft/figure1], about: two sweeps}
  table1-again: {report: table1, sweeps: [a]}
"""
SWEEP = """
# cost: 3 s
method: grid
parameters: {dataset: {value: digits}, network: {values: [fc-a, cnn-a]}}
nftlab: {seeds: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A paper of one's own in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports" / "mine").mkdir(parents=True)
    (tmp_path / "sweeps" / "mine").mkdir(parents=True)
    (tmp_path / "reports" / "mine" / "paper.yaml").write_text(PAPER)
    (tmp_path / "sweeps" / "mine" / "a.yaml").write_text(SWEEP)
    return tmp_path


def test_a_folder_is_all_that_a_paper_needs(folder: Path) -> None:
    assert papers() == ["fine-pruning", "mine", "nft"]
    mine = load_paper("mine")
    assert [(item.name, item.report, item.sweeps) for item in mine.items] == [
        ("table1", "mine/table1", ("mine/a", "nft/figure1")),
        ("table1-again", "mine/table1", ("mine/a",)),
    ]


def test_what_is_in_the_table_is_told_sweep_by_sweep(folder: Path) -> None:
    item = load_paper("mine").item("table1")
    plan = planned(item, None)[0]
    assert (plan.sweep.name, plan.jobs, plan.done, plan.cost, dict(plan.states)) == ("mine/a", 4, 0, "3 s", {})
    engine = store.open_db(f"sqlite:///{folder / 'db.sqlite'}", create=True)
    assert engine is not None
    store.launch(engine, plan.sweep, code={})
    first, second = planned(item, engine)
    assert (first.states["queued"], first.done, second.states) == (4, 0, {})


def test_a_manifest_that_is_no_text_is_a_problem_with_its_place(folder: Path) -> None:
    (folder / "reports" / "mine" / "paper.yaml").write_bytes(b"title: \xff\n")
    with pytest.raises(SpecError, match=r"paper\.yaml:1:8: not UTF-8 text"):
        load_paper("mine")


def test_unknown_names_are_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'nft'"):
        load_paper("ntf")
    with pytest.raises(NotFoundError, match="did you mean 'table1'"):
        load_paper("mine").item("tabel1")


def test_all_problems_of_a_manifest_come_at_once(folder: Path) -> None:
    (folder / "reports" / "mine" / "paper.yaml").write_text("tilte: Mine\nitems:\n  table1: {report: a}\n  table2: {sweeps: []}\n")
    with pytest.raises(SpecError) as error:
        load_paper("mine")
    told = "\n".join(error.value.problems)
    for what in ("did you mean 'title'", "title is missing", "items.table1: sweeps is missing", "the list is empty"):
        assert what in told
