"""Draws panels of numbers into matplotlib's axes. What is missing or partial is drawn too."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from nftlab.report.canvas import Palette
from nftlab.report.curves import Panel, Series
from nftlab.report.points import AxisPanel, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTHING = "no finished run"
_SPLITS = {"val": "validation", "train": "training"}
_STYLES = ("solid", "dashed")
_PLAIN = 1e-3  # below it a place on an axis is written as 5e-4
_SWITCH = "data as they are from here"
_HANDLE, _ROW = 6, 50  # characters: of what stands before a label of a legend, and of a row of it


def draw(axes: Axes, panel: Panel | AxisPanel, palette: Palette) -> None:
    """One picture."""
    if isinstance(panel, Panel):
        _curves(axes, panel, palette)
    else:
        _points(axes, panel, palette)
    axes.grid(axis="y")
    _legend(axes, palette)


def about(values: tuple[str, ...]) -> str:
    """What the curves of a picture are: `validation (solid) and training (dashed) error, %`."""
    if any(name.partition("/")[2] not in ("error", "loss") for name in values):
        return " and ".join(values)
    splits = [_SPLITS.get(split, split) for split, _, _ in (name.partition("/") for name in values)]
    if len(splits) > 1:
        splits = [f"{split} ({style})" for split, style in zip(splits, _STYLES, strict=True)]
    return f"{' and '.join(splits)} {values[0].partition('/')[2]}" + (", %" if values[0].endswith("/error") else "")


def _legend(axes: Axes, palette: Palette) -> None:
    """Below the axis, where it hides neither curves nor bars; the layout makes room for it."""
    from matplotlib.transforms import ScaledTranslation

    labels = axes.get_legend_handles_labels()[1]
    if not labels:
        return
    columns = len(labels) if sum(len(label) + _HANDLE for label in labels) <= _ROW else 2
    down = (12 + 2.4 * palette.points) / 72  # inches: the axis and its label
    below = axes.transAxes + ScaledTranslation(0, -down, axes.figure.dpi_scale_trans)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=columns, borderaxespad=0)


def _curves(axes: Axes, panel: Panel, palette: Palette) -> None:
    from matplotlib.ticker import MaxNLocator

    for curve in panel.curves:
        colour = palette.curve(curve.place)
        for number in reversed(range(len(curve.series))):
            name = f"{curve.name} ({curve.mark})" if curve.mark else curve.name
            _line(axes, curve.series[number], colour, dashed=number > 0, label=None if number else name)
        if curve.switch is not None:
            axes.axvline(curve.switch, color=colour, linewidth=1, linestyle=":")
    if any(curve.switch is not None for curve in panel.curves):
        axes.plot([], [], color=palette.ink, linewidth=1, linestyle=":", label=_SWITCH)
    axes.set_xlabel("epoch")
    axes.set_ylabel(about(panel.values).replace(" and ", " and\n"))  # on one line it is longer than the axis
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _holes(axes, panel.missing, everything=not panel.curves)


def _line(axes: Axes, curve: Series, colour: str, *, dashed: bool, label: str | None = None) -> None:
    if not curve.epochs:
        return
    line: Any = {"linewidth": 1.1, "linestyle": "--"} if dashed else {"linewidth": 1.8, "linestyle": "-"}
    marker = "o" if len(curve.epochs) == 1 else None  # a line needs two points to be seen
    axes.plot(curve.epochs, curve.mean, color=colour, label=label, marker=marker, **line)
    axes.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=0.08 if dashed else 0.18, linewidth=0)


def _holes(axes: Axes, names: tuple[str, ...], *, everything: bool) -> None:
    if everything:
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center")
    elif names:
        axes.plot([], [], linestyle="none", label=f"{NOTHING}: {', '.join(names)}")  # in the legend it hides no curve


def _points(axes: Axes, panel: AxisPanel, palette: Palette) -> None:
    for track in panel.tracks:
        _track(axes, track, palette.curve(track.place))
    if panel.logarithmic:
        axes.set_xscale("log")
    places = sorted({point.x for track in panel.tracks for point in track.points})
    axes.set_xticks(places, [_place(x) for x in places])
    axes.minorticks_off()
    axes.set_xlabel(panel.field)
    axes.set_ylabel(f"{panel.metric}, %")
    marks = {mark for track in panel.tracks for mark in _marks(track)}
    for mark, marker in (("fewer seeds than asked for", "o"), (NOTHING, "x")):
        if mark in marks:
            axes.plot([], [], color=palette.ink, linestyle="none", marker=marker, fillstyle="none", label=mark)
    _holes(axes, (), everything=all(point.mean is None for track in panel.tracks for point in track.points))


def _place(x: float) -> str:
    """`500`, `0.25`, `1.5e-4`: every digit that tells it from its neighbours."""
    if x == 0 or abs(x) >= _PLAIN:
        return f"{x:g}"
    digits, _, exponent = f"{x:e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"


def _track(axes: Axes, track: Track, colour: str) -> None:
    """Mean ± standard deviation; hollow where seeds are missing, a cross at the axis where there is no number."""
    places, means = [point.x for point in track.points], [nan if point.mean is None else point.mean for point in track.points]
    if any(point.mean is not None for point in track.points):  # the line breaks at holes
        spread = [point.std or 0.0 for point in track.points]
        axes.errorbar(places, means, yerr=spread, color=colour, linewidth=1.6, elinewidth=1, capsize=3, label=track.name)
    for point, mean in zip(track.points, means, strict=True):
        axes.plot([point.x], [mean], color=colour, marker="o", fillstyle="none" if point.partial else "full")
    if holes := [point.x for point in track.points if point.mean is None]:
        foot: Any = {"clip_on": False, "transform": axes.get_xaxis_transform()}
        axes.plot(holes, [0.02] * len(holes), color=colour, linestyle="none", marker="x", **foot)


def _marks(track: Track) -> list[str]:
    partly = ["fewer seeds than asked for"] if any(point.partial for point in track.points) else []
    return partly + ([NOTHING] if any(point.mean is None for point in track.points) else [])


def described(panel: Panel | AxisPanel) -> str:
    """The picture in words, for those who do not see it."""
    if isinstance(panel, AxisPanel):
        title = f", {panel.title}" if panel.title else ""
        told = [f"{track.name}: {', '.join(_told(track))}" for track in panel.tracks]
        return f"{panel.metric.capitalize()} over {panel.field}{title}. {'; '.join(told)}."
    told = [f"{curve.name}: {_ends(curve.series[0])}" for curve in panel.curves if curve.series[0].epochs]
    told += [f"{name}: {NOTHING}" for name in panel.missing]
    what = about(panel.values[:1]).removesuffix(", %")
    kind = panel.values[0].partition("/")[2]
    return f"{kind.capitalize()} over epochs, {panel.title}. {what.capitalize()} of {'; '.join(told)}."


def _told(track: Track) -> list[str]:
    return [f"{point.mean:.2f} % at {point.x:g}" if point.mean is not None else f"nothing at {point.x:g}" for point in track.points]


def _ends(curve: Series) -> str:
    unit = " %" if curve.name.endswith("/error") else ""
    first, last = f"{curve.mean[0]:.2f}{unit} in epoch {curve.epochs[0]}", f"{curve.mean[-1]:.2f}{unit} in epoch {curve.epochs[-1]}"
    return f"from {first} to {last}, {curve.n[-1]} seeds"
