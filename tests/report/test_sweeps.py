"""Rows and columns that name sweeps: equal trials of two sweeps stand beside each other, in every format."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from nftlab import store
from nftlab.errors import SpecError
from nftlab.report import Report, at_scale, build, explain, explain_json, frame, render
from nftlab.report.cells import cells
from nftlab.report.curves import Panel
from nftlab.report.figures import panels_of
from nftlab.report.points import AxisPanel
from nftlab.spec import load_text
from tests.report.factory import Jobs, curve, report_of, spec_of
from tests.report.test_build import SWEEP

TABLE = """
title: Searches
rows: {sweep: {random: search-random, TPE: search-tpe}}
columns: {dataset: [digits]}
"""
ALL = """
title: Searches
rows:
  - {label: random, where: {sweep: search-random}}
  - {label: TPE, where: {sweep: search-tpe}}
  - {label: both, where: {sweep: [search-tpe, search-random]}}
  - {label: any, where: {algorithm: nft}}
columns: {dataset: [digits]}
"""


def searched(suffix: str = "") -> Jobs:
    """One trial that both sweeps asked for, with other results, and one that only the second did."""
    jobs = Jobs()
    for seed in range(3):
        jobs.add({"algorithm": "nft"}, seed, sweep=f"search-random{suffix}", val_error=8.0, test_error=9.0 + seed, seconds=10.0)
        jobs.add({"algorithm": "nft"}, seed, sweep=f"search-tpe{suffix}", val_error=7.0, test_error=5.0 + seed, seconds=20.0)
        jobs.add({"algorithm": "nft", "lr": 0.1}, seed, sweep=f"search-tpe{suffix}", val_error=9.0, test_error=1.0, git_sha="e" * 40)
    return jobs


def keys(jobs: Sequence[store.JobRow], sweep: str) -> list[str]:
    return [job.job_key for job in jobs if job.sweep == sweep and job.config["lr"] == 1e-3]


@pytest.fixture
def report() -> Report:
    jobs = searched()
    return report_of(jobs, spec_of(TABLE), {job.job_key: curve(90, 10 if "tpe" in job.sweep else 30, job.seed) for job in jobs})


def test_cells_take_the_jobs_of_their_sweep_and_others_merge_equal_trials() -> None:
    jobs = searched()
    random, tpe, both, everything = cells(jobs, spec_of(ALL))
    assert (random.mean, tpe.mean, len(random.candidates), len(tpe.candidates)) == (10.0, 6.0, 1, 2)
    assert (random.states, tpe.states) == ({"done": 3}, {"done": 6})
    assert [[*cell.jobs] for cell in (random, tpe)] == [keys(jobs, "search-random"), keys(jobs, "search-tpe")]
    assert (both.mean, both.n, len(both.candidates)) == (everything.mean, 3, 2) == (10.0, 3, 2), "of a seed the first that is done"


@pytest.mark.parametrize("choose", ["val_error", "val_error_per_seed"])
def test_columns_may_name_sweeps_and_be_the_baseline(choose: str) -> None:
    text = "title: T\nrows: {algorithm: [nft]}\ncolumns: {sweep: [search-random, search-tpe]}\nbaseline: {sweep: search-random}\n"
    random, tpe = cells(searched(), spec_of(f"{text}choose: {choose}\n"))
    assert (random.mean, tpe.mean, tpe.better, random.better) == (10.0, 6.0, True, False)
    assert tpe.paired is not None
    assert (tpe.paired.baseline, tpe.paired.mean, tpe.paired.seeds) == ("search-random", -4.0, (0, 1, 2))


def test_a_pattern_names_several_and_a_scaled_report_their_copies() -> None:
    spec = spec_of("title: T\nrows: {sweep: {all: search-*, TPE: search-tpe}}\ncolumns: {dataset: [digits]}\nsweeps: [search-*]\n")
    assert [cell.n for cell in cells(searched(), spec)] == [3, 3]
    assert [cell.mean for cell in cells([*searched(), *searched("-at-0.05")], at_scale(spec, 0.05))] == [10.0, 6.0]
    assert [cell.n for cell in cells(searched(), at_scale(spec, 0.05))] == [0, 0]


def test_two_patterns_may_mean_one_sweep() -> None:
    text = TABLE.split("sweeps:")[0] if "sweeps:" in TABLE else TABLE
    rows = 'rows: {sweep: {random: "*-random", TPE: search-tpe}}'
    assert spec_of(re.sub("rows: .*", rows, text) + '\nsweeps: ["search-*"]\n').rows[0].label == "random"


def test_jobs_of_other_sweeps_are_outside_the_report() -> None:
    jobs = searched()
    jobs.add({"algorithm": "nft"}, sweep="other", test_error=0.0)
    assert [cell.mean for cell in cells(jobs, spec_of(TABLE))] == [10.0, 6.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "rows: {sweep: {random: search-random, TPE: search-tpee}}\ncolumns: {dataset: [digits]}\nsweeps: [search-random, search-tpe]",
            "2:44: rows.sweep.TPE: 'search-tpee' is not among the report's sweeps: search-random, search-tpe (did you mean 'search-tpe'?)",
        ),
        (
            "rows:\n- {label: A, where: {sweep: [a, b]}}\ncolumns: {dataset: [digits]}\nsweeps: [a-*, a]",
            "3:33: rows.where.sweep: 'b' is not among the report's sweeps: a-*, a",
        ),
        (
            "rows: {dataset: [digits]}\ncolumns: {sweep: b}\nsweeps: [a-*]",
            "3:18: columns.sweep: 'b' is not among the report's sweeps: a-*",
        ),
        ("rows: {sweep: [5]}\ncolumns: {dataset: [digits]}", "2:16: rows.sweep: 5 is not a text; write it in quotes if it is meant as one"),
        ("rows: {swep: [a], lr: [1]}\ncolumns: {dataset: [digits]}", "2:8: rows.swep: no algorithm has this field (did you mean 'sweep'?)"),
        (
            "rows: {sweep: [a]}\ncolumns: {dataset: [digits]}\nfigure: {axis: sweep}",
            "4:16: figure.axis: row 'a' has no single number for sweep",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_named_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(f"title: T\n{text}\n")
    assert caught.value.problems == [f"<report>:{complaint}"]


def test_sweeps_may_be_patterns_of_what_lines_name() -> None:
    spec = spec_of("title: T\nrows: {sweep: [a-1, b-*]}\ncolumns: {dataset: [digits]}\nsweeps: [a-*, b-1]\n")
    assert [line.sweeps for line in (*spec.rows, *spec.columns)] == [("a-1",), ("b-*",), ()]
    assert spec.notes == ()


def test_notes_count_equal_trials_of_two_sweeps_each(report: Report) -> None:
    assert "chosen among 3 trials in all" in render(report, "md")
    jobs = Jobs(replace(job, state="queued", val_error=None, test_error=None) for job in searched())
    assert "of their jobs 9 queued." in render(report_of(jobs, spec_of(TABLE)), "md")


def test_every_format_tells_the_jobs_of_the_sweep(report: Report) -> None:
    random, tpe = (keys(report.jobs, name) for name in ("search-random", "search-tpe"))
    told = json.loads(render(report, "json"))["cells"]
    assert [cell["jobs"] for cell in told] == [random, tpe]
    table = frame(report).set_index("row")
    assert table["mean"].to_dict() == {"random": 10.0, "TPE": 6.0}
    assert table["jobs"].to_dict() == {"random": " ".join(random), "TPE": " ".join(tpe)}
    assert f"% random, digits: 10.0 s, of 1 configuration; jobs {' '.join(random)}; code 0123456789" in render(report, "latex")
    page = render(report, "html")
    first, second = (page[page.index(f'id="cell-{number}"') :].split("</details>")[0] for number in (0, 1))
    assert [key in first for key in (*random, *tpe)] == [True] * 3 + [False] * 3
    assert [key in second for key in (*random, *tpe)] == [False] * 3 + [True] * 3


def test_a_cell_is_walked_back_to_its_own_sweep(report: Report) -> None:
    told = explain(report, "TPE", "digits")
    assert "2 trials searched" in told
    assert "sweep search-tpe, the lines" in told
    assert "search-random" not in told
    found = explain_json(report, "random", "digits")
    assert ({run["sweep"] for run in found["runs"]}, [sweep["sweep"] for sweep in found["sweeps"]]) == (
        {"search-random"},
        ["search-random"],
    )


def test_curves_and_axes_are_drawn_of_each_sweep(report: Report) -> None:
    (panel,) = panels_of(report)
    assert isinstance(panel, Panel)
    ends = {one.name: one.series[0].mean[-1] for one in panel.curves}
    assert ends["random"] > 25 > 15 > ends["TPE"]
    spec = spec_of("title: T\nrows: {lr: [0.001, 0.1]}\ncolumns: {sweep: {random: search-random, TPE: search-tpe}}\nfigure: {axis: lr}\n")
    (axis,) = panels_of(report_of(searched(), spec))
    assert isinstance(axis, AxisPanel)
    assert {track.name: [point.mean for point in track.points] for track in axis.tracks} == {"random": [10.0, None], "TPE": [6.0, 1.0]}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Two sweeps that ask for the same twelve jobs; the second no longer asks for half of them."""
    engine = store.open_db(f"sqlite:///{tmp_path / 'db.sqlite'}", create=True)
    assert engine is not None
    for name, source in (("old", SWEEP), ("new", SWEEP), ("new", SWEEP.replace("[ct, nft]", "[nft]"))):
        store.launch(engine, load_text(source.replace("quick-nft", name)), code={"git_sha": "f" * 40, "dirty": None})
    return engine


def test_jobs_that_one_sweep_no_longer_asks_for_are_left_out_of_its_rows_alone(engine: Engine) -> None:
    spec = spec_of("title: T\nrows: {sweep: [old, new], algorithm: [ct, nft]}\ncolumns: {network: [fc-a, cnn-a]}\n")
    report = build(spec, engine)
    assert [cell.states for cell in report.cells] == [{"queued": 3}] * 4 + [{}] * 2 + [{"queued": 3}] * 2
    assert ({*report.sweeps}, len(report.jobs), report.left_out) == ({"old", "new"}, 18, {"new": 6})
    assert "of their jobs 18 queued." in render(report, "md")
    only = build(spec_of("title: T\nrows: {sweep: [old]}\ncolumns: {dataset: [digits]}\n"), engine)
    assert ({*only.sweeps}, len(only.jobs), only.left_out) == ({"old"}, 12, {})


@pytest.mark.parametrize(
    ("rows", "sweeps", "told"),
    [
        ("[old, new]", "", ()),
        ("[old, nwe]", "", ("'nwe' (did you mean 'new'?)",)),
        ("[old, oldd]", "", ("'oldd'",)),  # old has a row of its own
        ("[nft/quick, n?x]", "", ("'nft/quick'", "'n?x'")),
        ("[old, nwe]", "sweeps: [old, nwe]", ("'nwe' (did you mean 'new'?)",)),
        ("[old, neww]", "sweeps: [old, ne*]", ("'neww' (did you mean 'new'?)",)),
        ("[old, olld]", "sweeps: [old, ol*]", ("'olld'",)),
    ],
)
def test_sweeps_of_lines_that_nobody_launched_are_noted(rows: str, sweeps: str, told: tuple[str, ...], engine: Engine) -> None:
    report = build(spec_of(f"title: T\nrows: {{sweep: {rows}}}\ncolumns: {{dataset: [digits]}}\n{sweeps}\n"), engine)
    assert report.unmatched == told
    assert not told or f"No launched sweep matches {', '.join(told)}." in explain(report, "1", "1")


def test_a_scaled_down_copy_does_not_count_because_a_line_names_it(engine: Engine) -> None:
    store.launch(engine, load_text(SWEEP.replace("quick-nft", "old-at-0.05")), code={"git_sha": "f" * 40, "dirty": None})
    text = "title: T\nrows: {sweep: [old, old-at-0.05]}\ncolumns: {dataset: [digits]}\n"
    report = build(spec_of(text), engine)
    assert ([cell.states for cell in report.cells], report.unmatched) == ([{"queued": 12}, {}], ("'old-at-0.05'",))
    both = build(spec_of(f"{text}sweeps: [old, old-at-0.05]\n"), engine)
    assert ([cell.states for cell in both.cells], both.unmatched) == ([{"queued": 12}] * 2, ())
