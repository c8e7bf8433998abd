"""Where a job's curve goes on W&B: what its sweep's file says, else what holds for all."""

from __future__ import annotations

import pytest

from nftlab.spec import load_text
from nftlab.store import launch
from tests.store.jobtable import sql
from tests.track.offline import runs
from tests.worker.conftest import Lab

FILE = """name: {name}
{places}
method: grid
parameters: {{dataset: {{value: digits}}, epochs: {{value: 1}}}}
nftlab: {{seeds: 1}}
"""


def test_every_sweep_has_its_own_project(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODE", "PROJECT", "ENTITY"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name, places in {"ours": "project: paper\nentity: team", "plain": "", "old": "project: [1]"}.items():
        text = FILE.format(name=name, places=places)
        launch(lab.engine, load_text(text.replace("[1]", "later")), code={"git_sha": None, "dirty": None})
        sql(lab.engine, "UPDATE sweeps SET source = :text WHERE name = :name", text=text, name=name)  # an earlier nftlab let more pass
    assert lab.work(track="wandb") == 0
    assert {run["config"]["nftlab/sweep"]: (run["project"], run["entity"]) for run in runs(lab.runs)} == {
        "ours": ("paper", "team"),
        "plain": ("nftlab", ""),
        "old": ("nftlab", ""),
    }
