"""A report in each format."""

from __future__ import annotations

from collections.abc import Callable

from nftlab.errors import UsageError, nearest
from nftlab.report.build import Report
from nftlab.report.canvas import Kind
from nftlab.report.export import to_csv, to_json
from nftlab.report.html import html
from nftlab.report.latex import latex
from nftlab.report.markdown import markdown


def figure(report: Report, kind: Kind = "svg") -> bytes:
    """The report's figure as a file, without one its learning curves. Raises UsageError where there is nothing to draw."""
    from nftlab.report.figures import panels_of, sheet

    found = panels_of(report)
    if not found:
        raise UsageError(f"report {report.spec.name} has nothing to draw: no run of it has recorded an epoch")
    return sheet(found, kind)


def svg(report: Report) -> str:
    """The same as text."""
    return figure(report).decode()


FORMATS: dict[str, Callable[[Report], str]] = {"md": markdown, "csv": to_csv, "latex": latex, "html": html, "json": to_json, "svg": svg}


def render(report: Report, fmt: str) -> str:
    """The report as text, ending with a newline: md, csv, latex, html, json or svg. The same database gives the same bytes."""
    if fmt not in FORMATS:
        raise UsageError(f"no format {fmt!r}{nearest(fmt, FORMATS)}", f"formats are {', '.join(FORMATS)}")
    return FORMATS[fmt](report)
