"""From a report with a picture to the drawing: which job stands for each row, its snapshots, and the sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nftlab import data
from nftlab.configuration import build
from nftlab.errors import UsageError
from nftlab.pictures import boundary, examples
from nftlab.pictures.snapshots import Snapshot, snapshots
from nftlab.report import Report
from nftlab.report.canvas import PRINT, styled, written
from nftlab.report.draw import NOTHING
from nftlab.report.files import FIGURES
from nftlab.report.model import Picture
from nftlab.train import Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nftlab.store import JobRow

_PLANE, _STRIP = 1.4, 0.36  # inches a side of a plane (five: both columns of a page) and of an image (eight: one column)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Subject:
    """A cell of the report and the job that is shown for it: its chosen trial's lowest seed; None: no run has finished.

    `beyond`: epochs of the picture that the job does not reach; its last one stands for them.
    """

    label: str
    job: JobRow | None
    epochs: tuple[int, ...]
    beyond: tuple[int, ...] = ()


def subjects(report: Report) -> list[Subject]:
    """What the picture shows. Raises UsageError for a report without one."""
    picture = _picture(report)
    found = []
    for cell in report.cells:
        job = min(cell.chosen.finished, key=lambda job: job.seed) if cell.chosen else None
        last = int(job.config["epochs"]) if job else max(picture.epochs)
        label = f"{cell.row}, {cell.column}" if len(report.spec.columns) > 1 else cell.row
        epochs = tuple(sorted({min(epoch, last) for epoch in picture.epochs}))
        found.append(Subject(label, job, epochs, tuple(sorted({epoch for epoch in picture.epochs if epoch > last}))))
    return found


def make(
    report: Report,
    *,
    runs: Path | None = None,
    device: str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> dict[str, bytes]:
    """The picture as files by format, those of figures. Jobs are trained again where `runs` does not hold what is needed."""
    picture = _picture(report)
    shown = [(subject, _snapshots(subject, runs, device, progress)) for subject in subjects(report)]
    sheet = _planes if picture.kind == "boundary" else _strips
    files: dict[str, bytes] = {}
    for kind in FIGURES:
        with styled(PRINT):
            files[kind] = written(sheet(shown, picture), kind)
    return files


def _picture(report: Report) -> Picture:
    if not isinstance(report.spec.figure, Picture):
        raise UsageError(f"report {report.spec.name} has no picture: nftlab report {report.spec.name} is all there is to it")
    return report.spec.figure


def _snapshots(subject: Subject, runs: Path | None, device: str, progress: Progress) -> list[Snapshot]:
    job = subject.job
    if job is None:
        return []
    hypers = build(job.config)
    task = data.load(hypers.dataset).part(hypers.data_share)
    member = Member(job.job_key, job.seed, hypers)

    def told(epoch: int) -> None:
        progress(f"{subject.label}, job {member.key}", epoch, max(subject.epochs))

    return list(snapshots(task, member, subject.epochs, runs=runs, sums=job.sums, device=device, progress=told))


def _planes(shown: Sequence[tuple[Subject, list[Snapshot]]], picture: Picture) -> Figure:
    """A row for each subject, a column for each epoch."""
    from matplotlib.figure import Figure

    columns = max(len(subject.epochs) for subject, _ in shown)
    figure = Figure(figsize=(_PLANE * columns, 0.8 * _PLANE * len(shown)), layout="constrained")
    for row, (subject, found) in enumerate(shown):
        axes = [figure.add_subplot(len(shown), columns, row * columns + column + 1) for column in range(columns)]
        for each in axes[len(found) :]:
            each.set_axis_off()
        for each, snapshot in zip(axes, found, strict=False):
            boundary.draw(each, boundary.plane(snapshot), PRINT)
        if found:
            axes[0].set_ylabel(subject.label)
        else:
            axes[0].text(0.5, 0.5, f"{subject.label}: {NOTHING}", transform=axes[0].transAxes, ha="center")
    return figure


def _strips(shown: Sequence[tuple[Subject, list[Snapshot]]], picture: Picture) -> Figure:
    """For each subject and epoch three strips: the images, what is added, and what is shown."""
    from matplotlib.figure import Figure

    blocks: list[tuple[Subject, Snapshot | None]] = []
    for subject, all_of_it in shown:
        blocks += [(subject, snapshot) for snapshot in all_of_it] or [(subject, None)]
    rows = len(blocks) * len(examples.STRIPS)
    figure = Figure(figsize=(_STRIP * picture.examples + 0.4, (_STRIP + 0.06) * rows + 0.25 * len(blocks)), layout="constrained")
    for block, (subject, snapshot) in enumerate(blocks):
        found = examples.strip(snapshot, picture.examples) if snapshot else None
        axes = [figure.add_subplot(rows, 1, block * len(examples.STRIPS) + n + 1) for n in range(len(examples.STRIPS))]
        for each, what in zip(axes, examples.STRIPS, strict=True):
            if found:
                examples.draw(each, found, what)
            else:
                each.set_axis_off()
        told = f"epoch {found.epoch}: {', '.join(examples.STRIPS)}" if found else NOTHING
        axes[0].set_title(f"{subject.label}, {told}")
    return figure
