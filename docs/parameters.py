"""Writes docs/parameters.md, the page of all parameters and curves, from where they are declared: `python docs/parameters.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import Field, fields
from inspect import getdoc
from pathlib import Path
from typing import Any, get_type_hints

from nftlab.hypers import ALGORITHMS, DATASETS, NFT, NFT_MODES, Hypers
from nftlab.spec.grammar import METRICS
from nftlab.train.networks import NETWORKS

PAGE = Path(__file__).with_suffix(".md")
OPENING = """# Parameters

What `parameters` of a [sweep file](sweep-files.md#parameters) may name. What is not given takes its default, and what a trial's algorithm
does not have is dropped there. `seed` is none of them: seeds stand under `nftlab`.

To train as one program trials must agree on what is **static**; in all else they may differ.

`python docs/parameters.py` writes this page from `nftlab/hypers.py`, where every parameter is declared with its bounds."""
CURVES = """## Curves

What is recorded with an epoch, by the name that `metric` of a sweep file and `curves` of a [figure](report-files.md#figures) take. A
method's own are there only for epochs in which it is at work: NFT's while the simplifier learns, EEF's and FT's while examples are left
out or move, fine-pruning's always. Every algorithm of a sweep must record its `metric`, so a method's own is for sweeps of that
method alone."""
KINDS = {"loss": "mean cross-entropy (natural logarithm)", "error": "percent wrong"}
SPLITS = {
    "train": "of the training examples as the classifier is shown them, with dropout, each before its step",
    "val": "of the validation set after the epoch",
    "test": "of the test set after an epoch in which validation improves; with `test_curve: true` after every one",
}
ELSEWHERE = {"dataset": "one of the [data sets](#data-sets)", "algorithm": ", ".join(f"`{name}`" for name in ALGORITHMS)}


def page() -> str:
    """The whole page."""
    own = [_algorithm(name, cls) for name, cls in ALGORITHMS.items()]
    return "\n\n".join([OPENING, "## Every algorithm", _parameters(Hypers), *own, CURVES, _curves(), *_networks(), *_datasets()]) + "\n"


def _algorithm(name: str, cls: type[Hypers]) -> str:
    said = re.sub(r"docs/(papers/\S+\.md)", r"[\1](\1)", getdoc(cls) or "")
    parts = [f"## `{name}`", said, _parameters(cls)]
    return "\n\n".join([*parts, *(_modes() if cls is NFT else ())])


def _parameters(cls: type[Hypers]) -> str:
    """The table of what a class declares beyond what every algorithm has, of Hypers itself all."""
    common = {} if cls is Hypers else {field.name: field for field in fields(Hypers)}
    kinds = get_type_hints(cls)
    own = [field for field in fields(cls) if common.get(field.name) is not field]
    rows = [
        (f"`{field.name}`", _default(field), _allowed(field, kinds[field.name]), field.metadata["help"], "yes" * field.metadata["static"])
        for field in own
    ]
    return _table(("parameter", "default", "allowed", "what it is", "static"), rows) if rows else "It has no parameters of its own."


def _default(field: Field[Any]) -> str:
    if field.default == "":
        return "by [`mode`](#presets-of-mode)" if field.name in NFT_MODES["code"] else "unset"
    return f"`{_written(field.default)}`"


def _written(value: object) -> str:
    """A value as a sweep file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(field: Field[Any], kind: type) -> str:
    rules = field.metadata
    if field.name in ELSEWHERE:
        return ELSEWHERE[field.name]
    if kind is bool:
        return "`true`, `false`"
    if rules["choices"]:
        return ", ".join(f"`{choice}`" for choice in rules["choices"])
    words = {"low": "at least", "above": "above", "high": "at most", "below": "below"}
    bounds = [f"{word} {rules[bound]:g}" for bound, word in words.items() if rules[bound] is not None]
    return ", ".join(["whole number" if kind is int else "number", *bounds])


def _modes() -> Iterator[str]:
    yield "### Presets of `mode`"
    yield "What `mode` sets where a sweep file does not; what each switch means: [papers/nft.md](papers/nft.md#paper-and-published-code)."
    heads = [f"`mode: {mode}`" for mode in NFT_MODES]
    rows = [(f"`{name}`", *(f"`{preset[name]}`" for preset in NFT_MODES.values())) for name in NFT_MODES["code"]]
    yield _table(("parameter", *heads), rows)


def _curves() -> str:
    rows = [(f"`{split}/{kind}`", "all", f"{KINDS[kind]} {SPLITS[split]}") for split, _, kind in (name.partition("/") for name in METRICS)]
    for algorithm, cls in ALGORITHMS.items():
        rows += [(f"`{name}`", f"`{algorithm}`", said) for name, said in cls.curves.items()]
    return _table(("curve", "of", "what it is"), rows)


def _networks() -> Iterator[str]:
    yield "## Networks"
    yield _table(("network", "what it is"), [(f"`{name}`", (net.__doc__ or "").partition("\n")[0]) for name, net in NETWORKS.items()])


def _datasets() -> Iterator[str]:
    yield "## Data sets"
    yield "Where they come from, their splits and licences: [data.md](data.md)."
    rows = [(f"`{name}`", "×".join(map(str, dataset.shape)), str(dataset.classes)) for name, dataset in DATASETS.items()]
    yield _table(("data set", "shape of an example", "classes"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
