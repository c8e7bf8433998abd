"""A report in each format."""

from __future__ import annotations

from collections.abc import Callable

from nftlab.errors import UsageError
from nftlab.hypers import nearest
from nftlab.report.build import Report
from nftlab.report.export import to_csv, to_json
from nftlab.report.html import html
from nftlab.report.latex import latex
from nftlab.report.markdown import markdown

FORMATS: dict[str, Callable[[Report], str]] = {"md": markdown, "csv": to_csv, "latex": latex, "html": html, "json": to_json}


def render(report: Report, fmt: str) -> str:
    """The report as text, ending with a newline: md, csv, latex, html or json. The same database gives the same bytes."""
    if fmt not in FORMATS:
        raise UsageError(f"no format {fmt!r}{nearest(fmt, FORMATS)}", f"formats are {', '.join(FORMATS)}")
    return FORMATS[fmt](report)
