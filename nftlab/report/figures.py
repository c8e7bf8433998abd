"""Learning curves as SVG to stand inside a page: no date, no random ids, colours left to the page's style.

Colours are CSS variables (`--ink`, `--grid`, `--curve-0` …), so that one drawing serves a light and a dark page.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

from nftlab.report.curves import Panel, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_COLOURS = 7
_INK, _GRID = "#0a0b0c", "#0a0b0d"  # placeholders: drawn in these, then replaced by variables
_CURVES = [f"#0a0c{number:02x}" for number in range(CURVE_COLOURS)]
_VARIABLES = {_INK: "var(--ink)", _GRID: "var(--grid)", **{colour: f"var(--curve-{number})" for number, colour in enumerate(_CURVES)}}
_SIZE = (4.6, 3.0)  # inches
_STYLE: Any = {
    "text.parse_math": False,  # a $ in a label is a $
    "svg.hashsalt": "nftlab",  # ids from content instead of chance
    "svg.fonttype": "none",  # text stays text
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
}


def svg(panel: Panel, prefix: str) -> str:
    """One picture: validation error with its band, training error dashed; `prefix` keeps its ids apart from other pictures'."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has the fonts
        mpl.rcdefaults()  # what the user has configured must not change the drawing
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        for curve in panel.curves:
            colour = _CURVES[curve.place % CURVE_COLOURS]
            _draw(axes, curve.train, colour, dashed=True)
            _draw(axes, curve.validation, colour, dashed=False, label=curve.name)
        axes.set_xlabel("epoch")
        axes.set_ylabel("error, %")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.legend(frameon=False, loc="upper right")
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), prefix, described(panel))


def described(panel: Panel) -> str:
    """The picture in words, for those who do not see it."""
    told = [f"{curve.name}: {_ends(curve.validation)}" for curve in panel.curves if curve.validation.epochs]
    return f"Error over epochs, {panel.title}. Validation error of {'; '.join(told)}."


def _ends(curve: Series) -> str:
    return (
        f"from {curve.mean[0]:.2f} % in epoch {curve.epochs[0]} to {curve.mean[-1]:.2f} % in epoch {curve.epochs[-1]}, {curve.n[-1]} seeds"
    )


def _draw(axes: Axes, curve: Series, colour: str, *, dashed: bool, label: str | None = None) -> None:
    if not curve.epochs:
        return
    line: Any = {"linewidth": 1.1, "linestyle": "--"} if dashed else {"linewidth": 1.8, "linestyle": "-"}
    marker = "o" if len(curve.epochs) == 1 else None  # a line needs two points to be seen
    axes.plot(curve.epochs, curve.mean, color=colour, label=label, marker=marker, **line)
    axes.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=0.08 if dashed else 0.18, linewidth=0)


def _inline(text: str, prefix: str, words: str) -> str:
    """The drawing as an element of a page: no prologue, own ids, the page's colours, and words for a screen reader."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1).strip()
