"""Sweeps and reports scaled down: how their copies are called, so that they never mix with the full ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

from nftlab.errors import UsageError, nearest
from nftlab.report.model import Figure, Picture, ReportSpec
from nftlab.resources import shipped_sweeps

SMALLEST = 0.001
_SCALED = re.compile(r"(.+)-at-(0\.\d+)")


def scaled_name(name: str, scale: float) -> str:
    """What the copy of a sweep, report or pattern is called: `nft/table1-ct-at-0.05`; at scale 1 the name itself."""
    return name if scale == 1 else f"{name}-at-{scale:g}"


def command(spec: ReportSpec) -> str:
    """What prints this report again."""
    name, suffix = spec.name, scaled_name("", spec.scale)
    return f"nftlab report {shlex.quote(name.removesuffix(suffix))}" + (f" --scale {spec.scale:g}" if suffix else "")


def check_scale(scale: float) -> None:
    """Raises UsageError for a scale that there is not."""
    if not SMALLEST <= scale <= 1:
        raise UsageError(f"--scale {scale:g} is not between {SMALLEST:g} and 1")


def at_scale(spec: ReportSpec, scale: float) -> ReportSpec:
    """The report on the sweeps' scaled copies, marked as such; at scale 1 the report itself. Raises UsageError."""
    check_scale(scale)
    if scale == 1:
        return spec
    note = (
        f"Scaled down to {scale:g}: about that share of the epochs, on a part of the rows of every data set. "
        "Not the published experiment: it shows that the way to the table works, its numbers and differences say nothing about the methods."
    )
    title = f"{spec.title} (scaled down to {scale:g})"
    name, notes = scaled_name(spec.name, scale), (note, *spec.notes)
    return replace(spec, name=name, title=title, notes=notes, figure=_earlier(spec.figure, scale), scale=scale)


def _earlier(figure: Figure | None, scale: float) -> Figure | None:
    """The epochs at which networks are shown move with the end of training."""
    if not isinstance(figure, Picture):
        return figure
    return replace(figure, epochs=tuple(dict.fromkeys(max(1, round(scale * epoch)) for epoch in figure.epochs)))


def counts(sweep: str, spec: ReportSpec) -> bool:
    """Whether a sweep's jobs count for this report. Patterns match sweeps of the report's own scale only."""
    return among(sweep, spec.sweeps or ("*",), spec.scale)


def among(sweep: str, names: Iterable[str], scale: float) -> bool:
    """Whether one of the names or patterns means a sweep, those of a report at this scale."""
    return any(_matches(sweep, name, scale) for name in names)


def unmatched(launched: Sequence[str], spec: ReportSpec) -> list[str]:
    """The names and patterns of the report and its lines that no launched sweep matches, quoted; behind a slip the nearest sweep.

    A sweep that ships with nftlab is no slip, it waits to be launched; nor is one meant that counts for the report, or for a line, already.
    """
    of_lines = [name for line in (*spec.rows, *spec.columns) for name in line.sweeps]
    counted = [sweep for sweep in launched if counts(sweep, spec)]
    others = [sweep for sweep in launched if _matches(sweep, "*", spec.scale) and sweep not in counted]
    free = [sweep for sweep in counted if not among(sweep, of_lines, spec.scale)]
    untold = [name for name in of_lines if name not in spec.sweeps]
    return [*_missing(spec.sweeps, counted, others, spec.scale), *_missing(untold, counted, free, spec.scale)]


def _missing(names: Sequence[str], there: Sequence[str], meant: Sequence[str], scale: float) -> list[str]:
    """Those names that none of the sweeps there matches, as a note tells them, with the nearest of those that may be meant."""
    named = {name: scaled_name(name, scale) for name in names if not any(_matches(sweep, name, scale) for sweep in there)}
    known = shipped_sweeps() if named else []
    return [repr(text) + ("" if name in known else nearest(text, meant)) for name, text in named.items()]


@cache  # asked again for every job
def _matches(sweep: str, pattern: str, scale: float) -> bool:
    if sweep == scaled_name(pattern, scale):
        return True
    found = _SCALED.fullmatch(sweep)
    name, at = found.groups() if found else (sweep, "1")
    return at == f"{scale:g}" and fnmatchcase(name, pattern)
