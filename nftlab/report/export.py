"""A report for programs: JSON, CSV in long form (one line a cell), and a pandas table for notebooks."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nftlab.harmless import no_formula
from nftlab.report.build import Report
from nftlab.report.cells import Cell
from nftlab.report.choice import Candidate
from nftlab.report.curves import panels
from nftlab.report.model import Curves
from nftlab.report.notes import notes

if TYPE_CHECKING:
    from pandas import DataFrame

_FLAT = ("report", "row", "column", "metric", "mean", "std", "n", "asked", "partial", "waiting", "diverged", "seconds", "better")


def as_dict(report: Report) -> dict[str, Any]:
    """The report as `--json` prints it; errors in percent, `seconds` of training per job, what is missing null."""
    spec = report.spec
    about = {
        "report": spec.name,
        "title": spec.title,
        "metric": spec.metric,
        "seeds": spec.seeds,
        "choose": spec.choose,
        "scale": spec.scale,
    }
    return {**about, "notes": notes(report), "cells": [cell_dict(cell) for cell in report.cells], **_figure(report)}


def to_json(report: Report) -> str:
    return json.dumps(as_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _figure(report: Report) -> dict[str, Any]:
    """The curves of a figure over epochs as numbers; those of an axis are the cells."""
    if not isinstance(report.spec.figure, Curves):
        return {}
    return {
        "figure": [
            asdict(panel) for values in report.spec.figure.pictures for panel in panels(report.cells, report.spec, report.curves, values)
        ]
    }


def to_csv(report: Report) -> str:
    """One line a cell, with a header; the `csv` module, because importing pandas takes longer than all the rest of a report."""
    text = io.StringIO()
    records = _records(report)
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def frame(report: Report) -> DataFrame:
    """The CSV's lines as a pandas DataFrame, ready to group and pivot; its texts as they are."""
    from pandas import DataFrame

    return DataFrame(_records(report))


def cell_dict(cell: Cell) -> dict[str, Any]:
    published, paired = cell.published, cell.paired
    return {
        "row": cell.row,
        "column": cell.column,
        "mean": cell.mean,
        "std": cell.std,
        "n": cell.n,
        "seconds": cell.seconds,
        "published": {"mean": published.mean, "std": published.std, "source": published.source} if published else None,
        "jobs": list(cell.jobs),
        "asked": cell.asked,
        "partial": cell.partial,
        "waiting": cell.waiting,
        "diverged": cell.diverged,
        "better": cell.better,
        "difference": cell.difference,
        "paired": {"baseline": paired.baseline, "mean": paired.mean, "std": paired.std, "seeds": list(paired.seeds)} if paired else None,
        "states": dict(cell.states),
        "trial": cell.chosen.trial_key if cell.chosen else None,
        "config": dict(cell.chosen.config) if cell.chosen else None,
        "searched": cell.searched,
        "trials": [_candidate(cell, candidate) for candidate in cell.candidates],
    }


def _candidate(cell: Cell, candidate: Candidate) -> dict[str, Any]:
    """What the choice saw: no test error."""
    seen = {"trial": candidate.trial_key, "val_error": candidate.val_error, "n": candidate.n, "diverged": candidate.diverged}
    return seen | {"chosen": cell.chose(candidate)}


def _records(report: Report) -> list[dict[str, Any]]:
    return [_record(report, cell) for cell in report.cells]


def _record(report: Report, cell: Cell) -> dict[str, Any]:
    told = {**cell_dict(cell), "report": report.spec.name, "metric": report.spec.metric}
    published, paired = cell.published, cell.paired
    return {name: told[name] for name in _FLAT} | {
        "published_mean": published.mean if published else None,
        "published_std": published.std if published else None,
        "published_source": published.source if published else None,
        "difference": cell.difference,
        "baseline": paired.baseline if paired else None,
        "paired_mean": paired.mean if paired else None,
        "paired_std": paired.std if paired else None,
        "paired_n": len(paired.seeds) if paired else 0,
        "val_error": cell.chosen.val_error if cell.chosen else None,
        "trials": len(cell.candidates),
        "searched": cell.searched,
        "trial": told["trial"],
        "config": json.dumps(told["config"], sort_keys=True) if told["config"] else None,
        "states": " ".join(f"{state}={count}" for state, count in cell.states.items()),
        "jobs": " ".join(cell.jobs),
    }
