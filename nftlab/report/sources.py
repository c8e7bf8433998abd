"""Which data the numbers of a table come from: jobs that name the same data set may have been trained on different examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nftlab.report.cells import Cell
from nftlab.store import data_of

if TYPE_CHECKING:
    from nftlab.report.choice import Candidate
    from nftlab.store import JobRow

_NAMED = 3  # cells of a note

Kind = tuple[object, object]  # a data set and the share of its rows: another share is asked for, not come by


def data_notes(cells: Sequence[Cell]) -> Iterator[str]:
    """A note for each data set whose name stood for several: where their examples came from, and in which cells they meet.

    Told by the hash that the last attempts recorded, over all finished jobs: those of trials that were not chosen were compared too.
    """
    found: dict[Kind, dict[str, str]] = {}  # hash → source
    mixed: dict[Kind, list[str]] = {}
    for cell in cells:
        for kind, sources in _sources([job for candidate in cell.candidates for job in candidate.finished]).items():
            found.setdefault(kind, {}).update(sources)
            if len(sources) > 1:
                mixed.setdefault(kind, []).append(f"{cell.row}, {cell.column}")
    for kind, sources in found.items():
        if len(sources) > 1:
            told = " and ".join(sources.values())
            yield f"Not the same data: jobs on {kind[0]} were trained on {told}, {_where(mixed.get(kind, []))}."


def data_lines(candidate: Candidate) -> Iterator[str]:
    """What the finished jobs of a trial were trained on, each source with its seeds."""
    seeds: dict[str, list[int]] = {}
    for job in candidate.finished:
        seeds.setdefault(data_of(job.circumstances) or "not recorded", []).append(job.seed)
    for source, of in seeds.items():
        yield f"{source}: seed{'s' if len(of) > 1 else ''} {', '.join(map(str, of))}"


def _sources(jobs: Sequence[JobRow]) -> dict[Kind, dict[str, str]]:
    found: dict[Kind, dict[str, str]] = {}
    for job in jobs:
        if (sha := job.circumstances.get("data_sha")) and (source := data_of(job.circumstances)):
            found.setdefault((job.config.get("dataset"), job.config.get("data_share", 1.0)), {})[sha] = source
    return found


def _where(cells: Sequence[str]) -> str:
    if not cells:
        return "though never mixed within a cell"
    more = f"; and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    return f"mixed within the cell{'s' if len(cells) > 1 else ''} {'; '.join(cells[:_NAMED])}{more}"
