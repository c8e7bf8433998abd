"""From a real database to a report, and what that costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from nftlab import store
from nftlab.report import FORMATS, build, explain, load_report, render
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
