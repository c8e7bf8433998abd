"""Writes a report in every format for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nftlab.aside import aside
from nftlab.errors import DiskError
from nftlab.report.build import Report
from nftlab.report.canvas import Kind
from nftlab.report.model import Axis, Curves
from nftlab.report.render import figure, render

SUFFIXES = {"md": ".md", "csv": ".csv", "latex": ".tex", "html": ".html"}
FIGURES: tuple[Kind, ...] = ("svg", "pdf", "png")  # for the screen, for LaTeX, for slides


def write(report: Report, out_dir: str | Path = "reports/out") -> dict[str, Path]:
    """Writes `<out_dir>/<report's name>` as .md, .csv, .tex and .html, a figure also as .svg, .pdf and .png; returns the paths by format.

    Folders are made. Raises DiskError when something cannot be written; a file is there whole or not at all.
    """
    contents = {fmt: render(report, fmt).encode() for fmt in SUFFIXES}
    if isinstance(report.spec.figure, (Curves, Axis)):
        contents |= {kind: figure(report, kind) for kind in FIGURES}
    return put(report.spec.name, contents, out_dir)


def put(name: str, contents: Mapping[str, bytes], out_dir: str | Path) -> dict[str, Path]:
    """Writes files of one name, by format. Raises DiskError."""
    base = Path(out_dir) / name
    paths = {fmt: base.with_name(base.name + SUFFIXES.get(fmt, f".{fmt}")) for fmt in contents}
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for fmt, path in paths.items():
            with aside(path) as file:
                file.write(contents[fmt])
    except OSError as error:
        message = f"the report cannot be written to {base.parent}: {error.strerror or error}"
        raise DiskError(message, "name another folder with --out") from error
    return paths
