"""`nftlab picture`: the figures that need networks and examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nftlab.cli.options import Db, Json
from nftlab.cli.output import bars, emit, emit_json
from nftlab.cli.report import OUT, Scale, build


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
