"""Writes a report in every format for people."""

from __future__ import annotations

import os
from pathlib import Path

from nftlab.errors import DiskError
from nftlab.report.build import Report
from nftlab.report.render import render

SUFFIXES = {"md": ".md", "csv": ".csv", "latex": ".tex", "html": ".html"}


def write(report: Report, out_dir: str | Path = "reports/out") -> dict[str, Path]:
    """Writes `<out_dir>/<report's name>` as .md, .csv, .tex and .html; returns the paths by format.

    Folders are made. Raises DiskError when something cannot be written; a file is there whole or not at all.
    """
    base = Path(out_dir) / report.spec.name
    paths = {fmt: base.with_name(base.name + suffix) for fmt, suffix in SUFFIXES.items()}
    texts = {fmt: render(report, fmt) for fmt in paths}
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for fmt, path in paths.items():
            _replace(path, texts[fmt])
    except OSError as error:
        message = f"the report cannot be written to {base.parent}: {error.strerror or error}"
        raise DiskError(message, "name another folder with --out") from error
    return paths


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
