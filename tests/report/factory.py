"""Jobs as the table would give them, made by hand, and a report full of every case."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from nftlab.report.build import Report, SweepFile
from nftlab.report.cells import cells
from nftlab.report.load import load_report_text
from nftlab.report.model import ReportSpec
from nftlab.store import JobRow

SPEC = """
title: A table
rows:
  network: {FC-A: fc-a, CNN-A: cnn-a}
  algorithm: {CT: ct, NFT: nft}
columns:
  dataset: [digits]
baseline: {algorithm: ct}
"""


def spec_of(text: str = SPEC, name: str = "my/table") -> ReportSpec:
    return load_report_text(text, name)


class Jobs(list[JobRow]):
    """Jobs in launch order: `add` appends one, `trial` one per seed."""

    def add(self, config: dict[str, Any], seed: int = 0, **values: Any) -> JobRow:
        number = len(self) + 1
        config = {"algorithm": "ct", "network": "fc-a", "dataset": "digits", "epochs": 20, "lr": 1e-3} | config
        trial = hashlib.sha256(repr(sorted(config.items())).encode()).hexdigest()[:16]
        done = {
            "state": "done",
            "val_error": 10.0,
            "test_error": 11.0,
            "best_epoch": 7,
            "seconds": 30.0 + number,
            "attempts": 1,
            "epoch": 20,
        }
        row = {
            **{"job_id": number, "job_key": f"{number:016x}", "sweep": "my-sweep", "trial_key": trial, "seed": seed, "config": config},
            **{"state": "queued", "attempts": 0, "retries": 0, "epoch": 0, "best_epoch": None, "val_error": None, "test_error": None},
            **{"diverged": False, "seconds": 0.0, "error": None, "priority": 0, "started_at": None, "finished_at": None},
            **{
                "git_sha": "0123456789abcdef0123456789abcdef01234567",
                "circumstances": {"device": "cpu", "torch": "2.14.1", "pack_size": 6},
                "sums": (),
            },
        }
        row |= (done if values.get("state", "done") == "done" else {}) | values
        if row["diverged"]:
            row |= {"val_error": None, "test_error": None, "best_epoch": None}
        self.append(JobRow(**row))
        return self[-1]

    def trial(self, config: dict[str, Any], val: list[float], test: list[float]) -> None:
        for seed, (val_error, test_error) in enumerate(zip(val, test, strict=True)):
            self.add(config, seed, val_error=val_error, test_error=test_error)


def curve(start: float, end: float, seed: int, epochs: int = 20) -> list[dict[str, Any]]:
    """Epoch rows that fall from one error to another, a little differently for every seed."""
    rows = []
    for epoch in range(1, epochs + 1):
        share = math.exp(-5 * epoch / epochs)
        wobble = 0.03 * math.sin(3 * epoch + 2 * seed) * (end + (start - end) * share)
        val = end + (start - end) * share + wobble
        rows.append({"epoch": epoch, "seconds": 1.0, "val/error": val, "train/error": val * (0.35 + 0.3 * share), "val/loss": val / 20})
    return rows


def report_of(
    jobs: Jobs, spec: ReportSpec, curves: dict[str, list[dict[str, Any]]] | None = None, source: str = "name: my-sweep\n"
) -> Report:
    sweeps = {job.sweep: SweepFile("sweeps/mine.yaml", source) for job in jobs}
    return Report(spec, tuple(cells(jobs, spec)), tuple(jobs), curves or {}, sweeps)
