"""Scaled-down copies of sweeps: a sweep file of its own, written from the full one, that a laptop can train.

The rule, at scale s: `epochs` becomes max(5, round(s · epochs)), fewer only where the sweep itself has fewer; `data_share`
becomes s, but at least what leaves the smallest of its data sets 500 training rows. Nothing else changes. So an epoch
costs about s of what it did, and a job about s².
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from math import ceil
from typing import Any

from nftlab.errors import UsageError
from nftlab.hypers import Hypers
from nftlab.report import check_scale, scaled_name
from nftlab.spec import Sweep, load_text

FEWEST_EPOCHS = 5  # with fewer a simplifier that is dropped after a quarter of them would see none
FEWEST_ROWS = 500  # of a training set: some sixteen batches of 32
_DIGITS = 10_000  # shares are rounded up to multiples of 1/10,000


def scaled(sweep: Sweep, scale: float) -> Sweep:
    """The sweep's copy at a scale below 1, under its own name; at 1 the sweep itself. Raises UsageError where it has no such copy."""
    check_scale(scale)
    if scale == 1:
        return sweep
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.width = _DIGITS  # no new line breaks
    root = yaml.load(_without_header(sweep.source))
    name = scaled_name(sweep.name, scale)
    parameters = root["parameters"]
    parameters["epochs"] = _epochs(parameters.get("epochs", {"value": Hypers.epochs}), scale, zipped=_zipped(root))
    datasets = _datasets(sweep, parameters.get("dataset", {"value": Hypers.dataset}))
    parameters["data_share"] = {"value": _share(datasets, parameters.get("data_share", {"value": Hypers.data_share}), scale)}
    root["name"] = name
    text = io.StringIO()
    yaml.dump(root, text)
    header = f"# {sweep.name} at scale {scale:g}: fewer epochs, a part of the data\n"
    return load_text(header + text.getvalue(), where=f"{name}.yaml", name=name)


def _without_header(text: str) -> str:
    """The file without the comment that it opens with: its counts and costs are those of the full sweep."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        del lines[0]
    return "".join(lines)


def _zipped(root: Any) -> bool:
    return any("epochs" in group for group in (root.get("nftlab") or {}).get("zip") or ())


def _epochs(entry: Any, scale: float, *, zipped: bool) -> dict[str, Any]:
    if "value" in entry:
        return {"value": _fewer(entry["value"], scale)}
    if "values" not in entry:
        raise UsageError("epochs that are drawn from a distribution have no scaled-down copy", "give epochs as value or values")
    fewer = [_fewer(epochs, scale) for epochs in entry["values"]]
    return {"values": fewer if zipped else [*dict.fromkeys(fewer)]}


def _fewer(epochs: float, scale: float) -> int:
    return min(int(epochs), max(FEWEST_EPOCHS, round(scale * epochs)))


def _datasets(sweep: Sweep, entry: Any) -> set[str]:
    """Those of its trials; a search has none yet, but says which it may take."""
    listed = entry["values"] if "values" in entry else [entry["value"]]
    return {trial.config["dataset"] for trial in sweep.trials} or {str(name) for name in listed}


def _share(datasets: Iterable[str], entry: Any, scale: float) -> float:
    if "value" not in entry:
        raise UsageError("several data_share have no scaled-down copy", "give data_share as one value")
    own = float(entry["value"])
    smallest = min(_training_rows(datasets))
    return min(own, ceil(max(scale * own, FEWEST_ROWS / smallest) * _DIGITS) / _DIGITS)


def _training_rows(datasets: Iterable[str]) -> list[int]:
    from nftlab import data  # brings torch, so not before it is needed

    return [data.dataset(name).counts[0] for name in datasets]
