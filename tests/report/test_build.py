"""From a real database to a report, and what that costs."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from nftlab import store
from nftlab.report import FORMATS, Report, at_scale, build, explain, explain_json, load_report, render
from nftlab.spec import load_text
from tests.report.factory import curve

SWEEP = """\
name: quick-nft
method: grid
metric: {name: val/error, goal: minimize}
parameters:
  dataset: {value: digits}
  network: {values: [fc-a, cnn-a]}
  algorithm: {values: [ct, nft]}
  epochs: {value: 4}
nftlab: {seeds: 3}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Twelve jobs: the first pack done, one of its seeds diverged; the others queued."""
    engine = store.open_db(f"sqlite:///{tmp_path / 'db.sqlite'}", create=True)
    assert engine is not None
    store.launch(engine, load_text(SWEEP), code={"git_sha": "f" * 40, "dirty": None})
    queue = store.Queue(engine)
    claims = queue.claim(store.Worker("w", "h", 1), 3, {"git_sha": "f" * 40, "dirty": None, "device": "cpu", "torch": "2.14.1"})
    for epoch in range(1, 5):
        rows = [curve(90, 10, claim.seed, 4)[epoch - 1] for claim in claims]
        values = [{name: row[name] for name in ("val/error", "train/error")} for row in rows]
        queue.record_epoch([(claim, store.EpochRow(epoch, told, 1.0, True)) for claim, told in zip(claims, values, strict=True)])
    outcomes = [store.Outcome(False, 4, 10.0 + claim.seed, 11.0 + claim.seed, 4.0) for claim in claims[:2]]
    outcomes.append(store.Outcome(True, None, None, None, 4.0))
    queue.finish(list(zip(claims, outcomes, strict=True)))
    return engine


def test_a_report_is_built_from_the_job_table(engine: Engine) -> None:
    report = build(load_report("nft/quick"), engine)
    cell = report.cells[0]
    assert (cell.row, cell.mean, cell.n, cell.diverged, cell.seconds) == ("FC-A CT", 11.5, 2, 1, 4.0)
    assert [other.states for other in report.cells[1:]] == [{"queued": 3}] * 3
    assert (len(report.jobs), set(report.curves)) == (12, set(cell.jobs))
    assert "code ffffffffffff  cpu  torch 2.14.1  pack of 3" in explain(report, "FC-A CT", "digits")
    assert "<string>" not in render(report, "html")


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_database_gives_the_same_bytes(fmt: str, engine: Engine) -> None:
    spec = load_report("nft/quick")
    assert render(build(spec, engine), fmt) == render(build(spec, engine), fmt)


def launch(engine: Engine, source: str) -> None:
    store.launch(engine, load_text(source), code={"git_sha": "f" * 40, "dirty": None})


def relaunched(engine: Engine, source: str) -> Report:
    """The report after its sweep's file was changed and launched again."""
    launch(engine, source)
    return build(load_report("nft/quick"), engine)


def test_jobs_that_the_sweep_no_longer_asks_for_are_left_out(engine: Engine) -> None:
    report = relaunched(engine, SWEEP.replace("[ct, nft]", "[nft]"))
    assert store.verify(engine, "quick-nft")["extra"] == 6
    assert [(cell.mean, cell.states) for cell in report.cells] == [(None, {}), (None, {"queued": 3})] * 2
    assert (len(report.jobs), report.curves, report.left_out) == (6, {}, {"quick-nft": 6})
    for fmt in ("md", "latex", "html", "json"):
        assert "Left out, because the sweep file no longer asks for them: 6 jobs of quick-nft." in render(report, fmt)
    told = explain(report, "FC-A CT", "digits")
    assert "no job of this cell is asked for" in told
    assert "6 jobs of quick-nft" in told
    assert "6 jobs of quick-nft" in explain_json(report, "FC-A CT", "digits")["notes"][0]
    assert relaunched(engine, SWEEP).left_out == {}


def test_a_seed_that_is_no_longer_asked_for_is_left_out(engine: Engine) -> None:
    report = relaunched(engine, SWEEP.replace("seeds: 3", "seeds: 1"))
    assert (report.cells[0].mean, report.cells[0].n, report.left_out) == (11.0, 1, {"quick-nft": 8})


def test_a_job_that_another_sweep_asks_for_counts_there(engine: Engine) -> None:
    spec, fewer = replace(load_report("nft/quick"), sweeps=()), SWEEP.replace("[ct, nft]", "[nft]")
    launch(engine, SWEEP.replace("quick-nft", "again"))
    assert {job.sweep for job in build(spec, engine).jobs} == {"quick-nft"}
    launch(engine, fewer)
    report = build(spec, engine)
    sweeps = [{job.sweep for candidate in cell.candidates for job in candidate.jobs} for cell in report.cells]
    assert (sweeps, report.left_out) == ([{"again"}, {"quick-nft"}] * 2, {"quick-nft": 6})
    launch(engine, fewer.replace("quick-nft", "again"))
    assert build(spec, engine).left_out == {"again": 6, "quick-nft": 6}


@pytest.mark.parametrize("stored", ["parameters: [", SWEEP.replace("epochs: {value: 4}", "epochs: {value: 5}")])
def test_a_stored_file_that_is_read_otherwise_than_it_was_launched_proves_nothing(stored: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeps SET source = :stored"), {"stored": stored})
    report = build(load_report("nft/quick"), engine)
    assert (report.cells[0].n, len(report.jobs), report.left_out) == (2, 12, {})


def test_only_files_of_sweeps_that_are_printed_are_expanded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SWEEP.replace("quick-nft", "other").replace("digits", "two-moons").replace("fc-a, cnn-a", "fc-a")
    launch(engine, other)
    expanded: list[str] = []

    def asked_for(engine: Engine, name: str, source: str) -> tuple[set[tuple[str, int]], int]:
        expanded.append(name)
        return set(), 0

    monkeypatch.setattr(store, "asked_for", asked_for)
    build(replace(load_report("nft/quick"), sweeps=()), engine)
    assert expanded == ["quick-nft"]


@pytest.mark.parametrize(
    ("sweeps", "note"),
    [
        (("quick-nft",), None),
        (("quick-*",), None),
        ((), None),
        (("quikc-nft",), "No launched sweep matches 'quikc-nft' (did you mean 'quick-nft'?)."),
        (("quick-nft", "quick-nfd", "b?"), "No launched sweep matches 'quick-nfd', 'b?'."),
        (("nft/table1-ct", "d"), "No launched sweep matches 'nft/table1-ct', 'd'."),
    ],
)
def test_sweeps_that_nobody_launched_are_noted(sweeps: tuple[str, ...], note: str | None, engine: Engine) -> None:
    launch(engine, SWEEP.replace("quick-nft", "nft/table1-cta"))
    report = build(replace(load_report("nft/quick"), sweeps=sweeps), engine)
    for fmt in ("md", "latex", "html", "json"):
        told = html.unescape(render(report, fmt))
        assert note in told if note else "No launched sweep" not in told
    assert note is None or note in explain(report, "1", "1")


def test_a_scaled_down_sweep_that_nobody_launched_is_named_as_it_would_be_called(engine: Engine) -> None:
    small = at_scale(load_report("nft/quick"), 0.05)
    assert build(small, engine).unmatched == ("'quick-nft-at-0.05'",)
    launch(engine, SWEEP.replace("quick-nft", "quick-nft-at-0.05"))
    assert build(small, engine).unmatched == ()
    slip = replace(small, sweeps=("quikc-nft",))
    assert build(slip, engine).unmatched == ("'quikc-nft-at-0.05' (did you mean 'quick-nft-at-0.05'?)",)


def test_where_nothing_was_launched_no_sweep_is_missed(tmp_path: Path) -> None:
    empty = store.open_db(f"sqlite:///{tmp_path / 'empty.sqlite'}", create=True)
    assert build(load_report("nft/table1"), empty).unmatched == ()


def test_another_report_does_not_count_these_jobs(engine: Engine) -> None:
    report = build(load_report("nft/mnist-rot-small"), engine)
    assert (report.jobs, report.curves, report.sweeps) == ((), {}, {})


def test_printing_a_table_loads_nothing_heavy() -> None:
    script = (
        "import json, sys; from nftlab.report import build, load_report, render; report = build(load_report('nft/table1'), None);"
        "[render(report, fmt) for fmt in ('md', 'latex', 'csv', 'json', 'html')]; print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert {"torch", "wandb", "pandas", "numpy", "matplotlib", "alembic"} & set(loaded) == set()
