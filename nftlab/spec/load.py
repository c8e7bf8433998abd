"""Sweep files and folders of them: read, check, expand."""

from __future__ import annotations

from pathlib import Path

from nftlab.errors import NotFoundError, SpecError
from nftlab.spec.choosers import Pruner
from nftlab.spec.document import Cursor, Problems, decoded, read
from nftlab.spec.expand import expand
from nftlab.spec.grammar import PLACES, is_place, read_plan
from nftlab.spec.mistaken import mistaken
from nftlab.spec.model import Metric, Sweep

SUFFIXES = (".yaml", ".yml")


def load(path: str | Path) -> Sweep:
    """The sweep of a file. Without `name:` it is called by its path below a `sweeps` folder, without suffix.

    Raises NotFoundError when there is no such file, SpecError with all its problems when it cannot run.
    """
    problems = Problems(str(path))
    read_one = _load(Path(path), problems)
    problems.raise_any()
    assert read_one is not None, "a file without problems has a sweep"
    return read_one[0]


def load_text(text: str, where: str = "<sweep>", *, name: str = "sweep", stored: bool = False) -> Sweep:
    """The sweep of a text; `where` names it in messages, `name` is used when the text has no `name:`. Raises SpecError.

    `stored`: it was launched, so what only a launch refuses is let pass.
    """
    problems = Problems(where)
    read_one = _read(text, problems, name, stored)
    problems.raise_any()
    assert read_one is not None, "a text without problems has a sweep"
    return read_one[0]


def pruner_of(text: str) -> tuple[Pruner, Metric] | None:
    """What ends the jobs of a text's sweep early, and the curve it looks at; its trials are not expanded for it."""
    problems = Problems("<sweep>")
    root = read(text, problems)
    plan = read_plan(root, "sweep", stored=True) if root else None
    problems.raise_any()
    return (plan.pruner, plan.metric) if plan and plan.pruner else None


def wandb_places(text: str) -> dict[str, str]:
    """`project` and `entity` of a text's sweep, those that it has and W&B takes. Raises SpecError when the text cannot be read."""
    if not any(key in text for key in PLACES):
        return {}  # nearly all sweeps: no need to read YAML for them
    problems = Problems("<sweep>")
    root = read(text, problems)
    entries = root.entries() if root else None
    problems.raise_any()
    return {key: entries[key].value for key in PLACES if entries and key in entries and is_place(entries[key].value)}


def load_all(path: str | Path) -> list[Sweep]:
    """The sweep of a file, or of every *.yaml and *.yml below a folder, sorted by path.

    Raises NotFoundError when there is none, SpecError with the problems of all files; two sweeps of one name are a problem.
    """
    folder = Path(path)
    if not folder.is_dir():
        return [load(path)]
    files = sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise NotFoundError(f"no sweep files below {folder}", "a sweep file ends in .yaml or .yml")
    found: list[Sweep] = []
    wrong: list[str] = []
    named: dict[str, Path] = {}
    for file in files:
        problems = Problems(str(file))
        if read_one := _load(file, problems):
            sweep, named_at = read_one
            first = named.setdefault(sweep.name, file)
            if first != file:
                named_at.fail(f"{sweep.name!r} is also the name of {first}; sweeps need different names")
            found.append(sweep)
        wrong += problems
    if wrong:
        raise SpecError(wrong)
    return found


def _load(file: Path, problems: Problems) -> tuple[Sweep, Cursor] | None:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"no sweep file {file}") from None
    except OSError as error:
        raise NotFoundError(f"cannot read {file}: {error.strerror}") from None
    text = decoded(content, problems)
    return None if text is None else _read(text, problems, _name_of(file))


def _name_of(file: Path) -> str:
    parts = file.resolve().with_suffix("").parts
    below = next((i for i in range(len(parts) - 2, -1, -1) if parts[i] == "sweeps"), len(parts) - 2)
    return "/".join(parts[below + 1 :])


def _read(text: str, problems: Problems, default_name: str, stored: bool = False) -> tuple[Sweep, Cursor] | None:
    """The sweep of a text and where its name stands; None after reporting why there is none."""
    root = read(text, problems)
    plan = read_plan(root, default_name, stored=stored) if root and not mistaken(root, "sweep") else None
    expansion = expand(plan) if plan else None
    if root is None or plan is None or expansion is None or problems:
        return None
    sweep = Sweep(
        name=plan.name,
        method=plan.method,
        metric=plan.metric,
        trials=expansion.trials,
        seeds=plan.extensions.seeds,
        priority=plan.extensions.priority,
        retries=plan.extensions.retries,
        source=text,
        path=problems.where,
        notes=(*plan.notes, *expansion.notes),
        duplicates=expansion.duplicates,
        search=expansion.search,
        pruner=plan.pruner,
    )
    return sweep, plan.at.get("name", root)
