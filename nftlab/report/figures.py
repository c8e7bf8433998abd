"""The figures of a report: which panels they have, and those as elements of a page or as files of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from nftlab.report.build import Report
from nftlab.report.canvas import PAGE, PRINT, VARIABLES, Kind, styled, written
from nftlab.report.curves import Panel, panels
from nftlab.report.draw import described, draw
from nftlab.report.model import Axis, Curves
from nftlab.report.points import AxisPanel, axis_panels

_SIZE = (4.6, 3.0)  # inches of a panel in a page
_PRINTED = (3.3, 2.4)  # and on paper: as wide as a column, so that nobody need shrink its text
_ABREAST = 2  # panels up to which one row is enough; four make two rows


def panels_of(report: Report) -> list[Panel | AxisPanel]:
    """The panels of a report's figure, holes among them; of a report without one, the learning curves that there are."""
    spec = report.spec
    if isinstance(spec.figure, Axis):
        return [*axis_panels(report.cells, spec, spec.figure)]
    if isinstance(spec.figure, Curves):
        found = [panels(report.cells, spec, report.curves, values) for values in spec.figure.pictures]
        return [panel for same in zip(*found, strict=True) for panel in same]
    return [panel for panel in panels(report.cells, spec, report.curves) if panel.curves]


def svg(panel: Panel | AxisPanel, prefix: str) -> str:
    """One panel as an element of a page: its colours are the page's; `prefix` keeps its ids apart from other pictures'."""
    from matplotlib.figure import Figure

    with styled(PAGE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.add_subplot(), panel, PAGE)
        text = written(figure, "svg").decode()
    return _inline(text, prefix, described(panel))


def sheet(found: Sequence[Panel | AxisPanel], kind: Kind) -> bytes:
    """All panels as one file."""
    from matplotlib.figure import Figure

    columns = min(len(found), _ABREAST)
    rows = -(-len(found) // columns)
    with styled(PRINT):
        figure = Figure(figsize=(_PRINTED[0] * columns, _PRINTED[1] * rows), layout="constrained")
        for number, panel in enumerate(found, start=1):
            axes = figure.add_subplot(rows, columns, number)
            draw(axes, panel, PRINT)
            axes.set_title("" if panel.title == axes.get_xlabel() else panel.title)
        return written(figure, kind)


def _inline(text: str, prefix: str, words: str) -> str:
    """The drawing as an element of a page: no prologue, own ids, the page's colours, and words for a screen reader."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    for placeholder, variable in VARIABLES.items():
        text = text.replace(placeholder, variable)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1).strip()
