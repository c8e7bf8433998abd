"""What a spreadsheet makes of a report's CSV."""

from __future__ import annotations

import csv
import io
import json

from nftlab.report import frame, render
from tests.report.factory import Jobs, report_of, spec_of


def test_no_text_of_a_csv_is_a_formula() -> None:
    rows = "rows:\n  - {label: '=1+1', where: {network: fc-a}}\n  - {label: '-0.5', where: {network: cnn-a}}\n"
    report = report_of(Jobs(), spec_of(f"title: A table\n{rows}columns:\n  dataset: [digits]\n"))
    assert [line["row"] for line in csv.DictReader(io.StringIO(render(report, "csv")))] == ["'=1+1", "-0.5"]
    assert list(frame(report)["row"]) == ["=1+1", "-0.5"]
    assert [cell["row"] for cell in json.loads(render(report, "json"))["cells"]] == ["=1+1", "-0.5"]
