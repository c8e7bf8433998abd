"""How figures look, and matplotlib so set that the same numbers give the same bytes: no date, no random ids, no user settings."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["svg", "pdf", "png"]
DPI = 300


@dataclass(frozen=True)
class Palette:
    """The colours of a drawing, those of curves in the order of the report's lines, and the size of its text in points."""

    ink: str
    grid: str
    curves: tuple[str, ...]
    points: float

    def curve(self, place: int) -> str:
        return self.curves[place % len(self.curves)]


CURVES = 7
# On paper; and placeholders that an element of a page replaces by the variables of its style, for light and dark.
PRINT = Palette("#1a1d21", "#c9d0d8", ("#0072b2", "#d55e00", "#009e73", "#b3589a", "#8a6d00", "#3a8fc4", "#444b54"), 8)
PAGE = Palette("#0a0b0c", "#0a0b0d", tuple(f"#0a0c{number:02x}" for number in range(CURVES)), 9)
VARIABLES = {PAGE.ink: "var(--ink)", PAGE.grid: "var(--grid)"} | {c: f"var(--curve-{n})" for n, c in enumerate(PAGE.curves)}


@contextmanager
def styled(palette: Palette) -> Iterator[None]:
    """What is drawn within looks like a figure of ours, whatever the user has configured."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has the fonts
        mpl.rcdefaults()
        mpl.rcParams.update(_style(palette))
        yield


def written(figure: Figure, kind: Kind) -> bytes:
    """The drawing as a file; call it where it was drawn, in `styled`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content = io.BytesIO()
    if kind == "svg":
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None, "Creator": None})
    elif kind == "pdf":
        FigureCanvasPdf(figure).print_pdf(content, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    else:
        figure.set_facecolor("white")
        figure.set_dpi(DPI)
        FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def _style(palette: Palette) -> Any:
    return {
        "text.parse_math": False,  # a $ in a label is a $
        "svg.hashsalt": "nftlab",  # ids from content instead of chance
        "svg.fonttype": "none",  # text stays text
        "pdf.fonttype": 42,  # publishers refuse Type 3 fonts
        "savefig.dpi": DPI,  # of what is drawn as pixels inside an SVG or PDF
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "font.family": "sans-serif",
        "font.size": palette.points,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.titlesize": palette.points,
        "legend.fontsize": palette.points - 1,
        "lines.markersize": palette.points / 2,
        "axes.edgecolor": palette.grid,
        "xtick.color": palette.grid,
        "ytick.color": palette.grid,
        "xtick.labelcolor": palette.ink,
        "ytick.labelcolor": palette.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": palette.grid,
        "grid.linewidth": 0.6,
    }
