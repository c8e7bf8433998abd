"""`nftlab picture`: the figures that need networks and examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nftlab.cli.options import Db, Json
from nftlab.cli.output import bars, emit, emit_json, printable, say
from nftlab.cli.report import OUT, Scale, build

if TYPE_CHECKING:
    from nftlab.pictures import Subject


def picture(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A report with a picture, such as nft/figure1, or a report file.")],
    scale: Scale = 1.0,
    device: Annotated[
        str, typer.Option("--device", metavar="D", help="Where to train what must be trained again: cpu, cuda, cuda:N.")
    ] = "cpu",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the files here instead of reports/out.")] = None,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="NFTLAB_RUNS", help="The workers' checkpoints.")] = Path("runs"),
    as_json: Json = False,
    db: Db = None,
) -> None:
    """Draw a figure that needs the networks: a decision boundary over training, or simplified images.

    It shows the runs that the report prints, of each cell the lowest seed. Their networks at the epochs wanted come from
    checkpoints where there are any; else the run is trained again up to there, which records nothing.
    """
    built = build(name, db, scale)
    from nftlab import pictures
    from nftlab.report.files import put

    shown = pictures.subjects(built)
    _past_the_end(shown)
    with bars() as progress:
        files = put(built.spec.name, pictures.make(built, runs=runs, device=device, progress=progress), out or OUT)
    if not as_json:
        return emit("\n".join(str(path) for path in files.values()))
    told = [
        {
            "cell": subject.label,
            "job": subject.job and subject.job.job_key,
            "seed": subject.job and subject.job.seed,
            "epochs": subject.epochs,
        }
        for subject in shown
    ]
    emit_json({"report": built.spec.name, "files": files, "shown": told})


def _past_the_end(shown: Sequence[Subject]) -> None:
    """Says of which cells the picture shows the last epoch where the report file asks for a later one, in a line for all alike."""
    alike: dict[tuple[tuple[int, ...], int], list[str]] = {}
    for subject in shown:
        if subject.beyond:
            alike.setdefault((subject.beyond, subject.epochs[-1]), []).append(subject.label)
    for (beyond, last), labels in alike.items():
        wanted = f"epoch{'s' * (len(beyond) > 1)} {', '.join(map(str, beyond))}"
        say(printable(f"{wanted} wanted, but jobs end with epoch {last}, which is shown instead: {'; '.join(labels)}"))
