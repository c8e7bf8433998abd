"""Reads a paper's manifest, `reports/<paper>/paper.yaml`; all of its problems are reported at once."""

from __future__ import annotations

from dataclasses import dataclass

from nftlab.errors import NotFoundError, nearest
from nftlab.report.axes import printable
from nftlab.report.find import PAPER, roots
from nftlab.spec.document import Cursor, Problems, decoded, read

_KEYS = ("title", "items")
_ITEM_KEYS = ("sweeps", "report", "about")


@dataclass(frozen=True)
class Item:
    """A table or figure: the report that shows it, the sweeps that fill it (`nft/table1-ct`), and `about` them a few words."""

    name: str
    report: str
    sweeps: tuple[str, ...]
    about: str


@dataclass(frozen=True)
class Paper:
    """What of a paper can be made again, in the manifest's order."""

    name: str
    title: str
    items: tuple[Item, ...]

    def item(self, name: str) -> Item:
        """The table or figure of this name. Raises NotFoundError with the nearest and the known names."""
        known = [item.name for item in self.items]
        if name not in known:
            raise NotFoundError(f"{self.name} has no {name!r}{nearest(name, known)}", f"it has {', '.join(known)}")
        return self.items[known.index(name)]


def papers() -> list[str]:
    """Names of the papers in ./reports and of those that ship with nftlab."""
    return sorted({file.parent.relative_to(root).as_posix() for root in roots() for file in root.rglob(PAPER)})


def load_paper(name: str) -> Paper:
    """The paper of that name, in ./reports, else among the shipped ones. Raises NotFoundError, or SpecError with every problem."""
    known = papers()
    if name not in known:
        raise NotFoundError(f"no paper {name!r}{nearest(name, known)}", f"known are: {', '.join(known) or 'none'}")
    path = next(file for root in roots() if (file := root / name / PAPER).is_file())
    problems = Problems(str(path))
    try:
        text = decoded(path.read_bytes(), problems)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error}") from error
    root = read(text, problems) if text is not None else None
    paper = _paper(root, name) if root else None
    problems.raise_any()
    assert paper is not None  # without a paper there is a problem
    return paper


def _paper(root: Cursor, name: str) -> Paper:
    given = root.known(_KEYS)
    for key in _KEYS:
        if key not in given:
            root.fail(f"{key} is missing")
    entries = (given["items"].entries() if "items" in given else None) or {}
    items = tuple(_item(cursor, key, name) for key, cursor in entries.items())
    return Paper(name, printable(given["title"]) if "title" in given else "", items)


def _item(cursor: Cursor, name: str, paper: str) -> Item:
    given = cursor.known(_ITEM_KEYS)
    if "sweeps" not in given:
        cursor.fail("sweeps is missing: the files below the paper's folder that fill it", at_key=True)
    sweeps = [printable(item) for item in (given["sweeps"].items() if "sweeps" in given else None) or ()]
    report = printable(given["report"]) if "report" in given else name
    about = printable(given["about"]) if "about" in given else ""
    return Item(name, _below(paper, report), tuple(_below(paper, sweep) for sweep in sweeps), about)


def _below(paper: str, name: str) -> str:
    """Names are those of files in the paper's own folder, unless they say another."""
    return name if "/" in name else f"{paper}/{name}"
