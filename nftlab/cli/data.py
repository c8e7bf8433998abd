"""`nftlab data`: what data sets are here; fetch, make and check them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nftlab.cli.options import Db, Json
from nftlab.cli.output import bars, emit, emit_json, say, table
from nftlab.errors import DataError, UsageError, nearest
from nftlab.hypers import DATASETS as SHAPES

if TYPE_CHECKING:
    from nftlab.data import Dataset

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets, as `nftlab data list` names them.")]
Progress = Callable[[str, int, int], None]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, fetch, make and check data sets.")


@app.command("list")
def list_(as_json: Json = False, db: Db = None) -> None:
    """List the data sets: where they are, or the command that brings them."""
    from nftlab.data import DATASETS

    rows: list[dict[str, Any]] = [
        {
            "dataset": name,
            "status": dataset.status(),
            "folder": dataset.where(),
            "commands": [f"nftlab data {command} {name}" for command in dataset.commands],
            "shape": dataset.shape,
            "classes": dataset.classes,
            "counts": dataset.counts,
            "about": dataset.about,
            "licence": dataset.licence,
        }
        for name, dataset in DATASETS.items()
    ]
    if as_json:
        return emit_json(rows)
    table(
        ["data set", "status", "rows", "folder or command", "about"],
        [[row["dataset"], row["status"], _rows(row["counts"]), _place(row), f"{row['about']}; {row['licence']}"] for row in rows],
    )


@app.command()
def get(names: Names, db: Db = None) -> None:
    """Fetch published files and check them."""
    for dataset in _chosen(names):
        with bars() as progress:
            fetched = dataset.get(progress=progress)
        say(f"{dataset.name}: {len(fetched)} files fetched" if fetched else f"{dataset.name}: nothing to fetch")
        emit(f"{dataset.name}\t{dataset.where() or 'embedded'}")


@app.command()
def make(
    names: Names,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of what is drawn; replaces another's.")] = 0,
    encoder: Annotated[str | None, typer.Option("--encoder", help="For wines: a sentence-transformers model, by name or folder.")] = None,
    db: Db = None,
) -> None:
    """Make data sets by their published recipes; of each there is one made set, so that what was made before is replaced."""
    for dataset in _chosen(names, encoder):
        before = dataset.made()
        with bars() as progress:
            folder = dataset.make(seed=seed, progress=progress)
        if before and (now := dataset.made()) != before:
            say(f'{dataset.name}: "{now}" replaces "{before}"')
        emit(f"{dataset.name}\t{folder}")


@app.command()
def verify(names: Names, as_json: Json = False, db: Db = None) -> None:
    """Read data sets whole and check counts, shapes, values and hashes; exit 65 if one is wrong."""
    rows: list[dict[str, Any]] = []
    for dataset in _chosen(names):
        row: dict[str, Any] = {"dataset": dataset.name, "found": [], "error": None}
        try:
            with bars() as progress:
                row["found"] = dataset.verify(progress=progress)
        except DataError as error:
            row["error"] = str(error)
        rows.append(row)
        if row["found"] and not as_json:
            emit("\n".join(row["found"]))
    if as_json:
        emit_json(rows)
    if wrong := [row["error"] for row in rows if row["error"]]:
        raise DataError("\n".join(wrong))


def _rows(counts: tuple[int, int, int]) -> str:
    """Training, validation and test rows."""
    return " + ".join(f"{count:,}" for count in counts)


def _place(row: dict[str, Any]) -> str:
    """Where a data set is, else how it comes."""
    return str(row["folder"] or " or ".join(row["commands"]) or "–")


def _chosen(names: list[str], encoder: str | None = None) -> list[Dataset]:
    """The data sets of these names; all names are checked before anything is fetched, and before torch is imported."""
    unknown = [f"{name!r} is not a data set{nearest(name, SHAPES)}" for name in names if name not in SHAPES]
    if unknown:
        raise UsageError("\n".join(unknown), f"there are {', '.join(SHAPES)}")
    if encoder and set(names) != {"wines"}:
        raise UsageError("--encoder is for wines alone")
    from nftlab.data import DATASETS
    from nftlab.data.wines import Wines

    return [Wines(encoder)] if encoder else [DATASETS[name] for name in dict.fromkeys(names)]
