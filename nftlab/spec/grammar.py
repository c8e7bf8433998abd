"""The top of a sweep file: W&B's keys, its parameters, and our own settings, read into a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nftlab.configuration import kind_of
from nftlab.errors import nearest
from nftlab.hypers import ALGORITHMS, Hypers
from nftlab.spec.choosers import Pruner, read_early_terminate
from nftlab.spec.distributions import DEFAULTS
from nftlab.spec.document import Cursor, show
from nftlab.spec.extensions import Extensions, read_extensions
from nftlab.spec.model import Metric
from nftlab.spec.parameters import MOST_POINTS, Parameter, read_parameter

IDLE = ("program", "command")  # for W&B's own agents: accepted, and a note says they do nothing here
PLACES = ("project", "entity")  # where curves go on W&B, unless a worker's environment says otherwise
LABELS = ("description", "apiVersion", "kind")
KEYS = ("name", "method", "metric", "parameters", "run_cap", "early_terminate", "nftlab", *IDLE, *PLACES, *LABELS)
REFUSED = {
    "metrics": "this version has one metric; write metric: {name: val/error, goal: minimize}",
    "controller": "nftlab needs no controller; delete it",
    "scheduler": "nftlab needs no scheduler; delete it",
    "job": "nftlab trains its own algorithms, not W&B jobs; delete it",
    "image_uri": "nftlab runs no images; delete it",
}
METHODS = ("grid", "random", "bayes")
METRICS = ("train/loss", "train/error", "val/loss", "val/error", "test/loss", "test/error")
_PLACE = re.compile(r"[^/\\#?%:]{1,128}")  # what W&B takes for a project
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Plan:
    """A file that was read: what expansion needs, and no trial yet. `at` tells where each top-level key stands.

    `partial`: something could not be read, so there is nothing to launch; what could be is still checked, so that all
    problems are told at once. `stored`: it was launched, so what only a launch refuses is let pass.
    """

    name: str
    method: str
    metric: Metric
    parameters: dict[str, Parameter]
    run_cap: int
    extensions: Extensions
    pruner: Pruner | None
    notes: tuple[str, ...]
    at: dict[str, Cursor]
    partial: bool = False
    stored: bool = False


def read_plan(root: Cursor, default_name: str, *, stored: bool = False) -> Plan | None:
    """The plan of a file, of what could be read of it; None when there is no use in expanding it. Problems are reported either way.

    Of a `stored` file the metric, the distributions and where curves go are believed: an earlier nftlab let it be launched.
    """
    keys = root.known(KEYS, REFUSED)
    if not isinstance(root.value, dict):
        return None
    name = _name(keys.get("name"), root, default_name)
    method = _method(keys.get("method"), root)
    metric = _metric(keys.get("metric"))
    run_cap = _run_cap(keys, method)
    _labels(keys, stored)
    if "parameters" not in keys:
        root.fail("parameters is missing; write what to train, such as parameters: {algorithm: {value: ct}}")
    parameters = _parameters(keys.get("parameters"), method)
    extensions = read_extensions(keys.get("nftlab"), parameters, method)
    pruner = _pruner(keys.get("early_terminate"), extensions)
    _repeats(parameters, extensions)
    if not stored:
        _fractions(parameters)
    if "metric" in keys and not stored:
        _recorded(metric.name, keys["metric"], parameters)
        _fit_to_choose_by(metric.name, keys["metric"], method, pruner)
    whole = {key: parameter for key, parameter in parameters.items() if parameter}
    if not whole or not {"algorithm", "network", "dataset"}.isdisjoint(parameters.keys() - whole.keys()):
        return None  # what these would decide could only be guessed
    partial = method is None or len(whole) < len(parameters) or (method != "grid" and not run_cap)
    if partial:
        extensions = extensions.restricted(whole.keys())
    return Plan(name, method or "random", metric, whole, run_cap, extensions, pruner, _notes(keys, metric), keys, partial, stored)


def _name(at: Cursor | None, root: Cursor, default: str) -> str:
    name = at.text() if at else default
    if name is not None and (len(name) > 120 or not _NAME.fullmatch(name)):
        rule = "a sweep's name has at most 120 characters: letters, digits, . _ - and /, each part starting with a letter or digit"
        where = f"{show(name)}" if at else f"the file's name {show(name)} cannot name the sweep, and there is no `name`"
        (at or root).fail(f"{where}; {rule}")
    return name or default


def _method(at: Cursor | None, root: Cursor) -> str | None:
    if at is None:
        root.fail(f"method is missing; write method: {' or '.join(METHODS)}")
        return None
    if at.value == "custom":
        at.fail(f"custom is not in this version; it has {', '.join(METHODS)}")
        return None
    return at.one_of(METHODS)


def _metric(at: Cursor | None) -> Metric:
    if at is None:
        return Metric()
    keys = at.known(("name", "goal", "target", "impute", "impute_while_running"))
    if "name" not in keys and isinstance(at.value, dict):
        at.fail("name is missing; write the curve's name, such as val/error", at_key=True)
    name = keys["name"].text() if "name" in keys else None
    goal = keys["goal"].one_of(("minimize", "maximize")) if "goal" in keys else None
    if "target" in keys:
        keys["target"].number()
    for key in ("impute", "impute_while_running"):
        if key in keys and keys[key].value is not False:
            keys[key].one_of(("worst", "best", "latest", "false"))
    return Metric(Metric.name if name is None else name, goal or Metric.goal)


def _fit_to_choose_by(name: str, at: Cursor, method: str | None, pruner: Pruner | None) -> None:
    """Reports a search or a pruner that would choose by the test set, and a search by what the best epoch may not record."""
    if name in METRICS and name.startswith("test/") and (method == "bayes" or pruner):
        who = "a search" if method == "bayes" else "a pruner"
        at.fail(f"{who} would choose by the test set; write metric: {{name: {name.replace('test/', 'val/')}}}", at_key=True)
    elif method == "bayes" and any(name in cls.curves for cls in ALGORITHMS.values()):
        at.fail(
            f"a search is told the value at the best epoch, and not every epoch has {show(name)}; write val/error or val/loss", at_key=True
        )


def _recorded(name: str, at: Cursor, parameters: dict[str, Parameter | None]) -> None:
    """Reports a metric that a listed algorithm never records; where algorithms could not be read, one that none records."""
    entries = at.entries() if isinstance(at.value, dict) else None
    if not entries or "name" not in entries or not parameters or name in METRICS:
        return
    unread = "algorithm" in parameters and parameters["algorithm"] is None
    written = parameters.get("algorithm")
    listed = [option.value for option in written.options] if written else list(ALGORITHMS) if unread else [Hypers.algorithm]
    curves = {algorithm: set(ALGORITHMS[algorithm].curves) for algorithm in listed if algorithm in ALGORITHMS}
    lacking = [algorithm for algorithm, of_it in curves.items() if name not in of_it]
    if lacking and (not unread or len(lacking) == len(curves)):
        allowed = [*METRICS, *sorted(set.intersection(*curves.values()))]
        what = f"{show(name)} is no curve of {' and '.join(lacking)}"
        entries["name"].fail(f"{what}; allowed: {', '.join(allowed)}{nearest(name, allowed)}")


def _run_cap(keys: dict[str, Cursor], method: str | None) -> int:
    at = keys.get("run_cap")
    if at is None:
        if method in ("random", "bayes"):
            keys["method"].fail(f"{method} needs run_cap, the number of trials; write run_cap: 20")
        return 0
    if method == "grid":
        at.fail("a grid trains exactly the trials it lists; delete run_cap, or use method: random or bayes", at_key=True)
        return 0
    return at.whole(1, MOST_POINTS) or 0


def _pruner(at: Cursor | None, extensions: Extensions) -> Pruner | None:
    if at is None:
        return extensions.pruner
    if extensions.pruner:
        at.fail("both early_terminate and nftlab.pruner; keep one", at_key=True)
    return read_early_terminate(at)


def is_place(name: object) -> bool:
    """Whether W&B takes it for a project or an entity."""
    return isinstance(name, str) and name.isprintable() and bool(_PLACE.fullmatch(name))


def _labels(keys: dict[str, Cursor], stored: bool) -> None:
    """Check the kind of what changes nothing in training."""
    for key in (*IDLE, *PLACES, *LABELS):
        if key not in keys:
            continue
        if key in PLACES and not stored:
            _place(keys[key])
        elif key == "command" and isinstance(keys[key].value, list):
            for item in keys[key].items() or ():
                item.text()
        else:
            keys[key].text()


def _place(at: Cursor) -> None:
    name = at.text()
    if name is not None and not is_place(name):
        at.fail(f"{show(name)} has to be 1 to 128 printable characters, none of / \\ # ? % : (a team is the entity, beside the project)")


def _parameters(at: Cursor | None, method: str | None) -> dict[str, Parameter | None]:
    """Every parameter in file order; None stands for one that could not be read."""
    entries = at.entries() if at else None
    if at and entries == {}:
        at.fail("no parameters; an empty grid trains nothing", at_key=True)
    found: dict[str, Parameter | None] = {}
    for name, entry in (entries or {}).items():
        if name in ("seed", "seeds"):
            entry.fail("seeds are replicates, not a parameter; write them under nftlab: seeds, as a number or a list", at_key=True)
            continue
        found[name] = read_parameter(name, entry, method)
    algorithm = found.get("algorithm")
    if algorithm and algorithm.distribution:
        algorithm.at.fail("algorithm needs value or values", at_key=True)
        found["algorithm"] = None
    return found


def _repeats(parameters: dict[str, Parameter | None], extensions: Extensions) -> None:
    """Report values listed twice; 1 and 1.0 are one value, and only whole rows count in a zip group."""
    zipped = {name for group in extensions.groups for name in group}
    for name, parameter in parameters.items():
        if parameter is None or name in zipped:
            continue
        seen: dict[tuple[bool, Any], Cursor] = {}
        for option in parameter.options:
            first = seen.setdefault((isinstance(option.value, bool), option.value), option.at)
            if first is not option.at:
                where = f"{first.node.line}:{first.node.column}"
                option.at.fail(f"{show(option.value)} is listed twice; it is the same as {show(first.value)} at {where}")


def _fractions(parameters: dict[str, Parameter | None]) -> None:
    """Report whole-number parameters whose distribution gives fractions, of which hardly a value could be trained."""
    for name, parameter in parameters.items():
        drawn = parameter.distribution if parameter else None
        if parameter is None or drawn is None or drawn.whole or kind_of(name) is not int:
            continue
        rounded = f"q_{drawn.kind.removeprefix('q_')}"
        remedy = f"int_uniform, or {rounded if rounded in DEFAULTS else 'q_log_uniform_values'} with a whole q"
        parameter.at.fail(f"{drawn.kind} gives numbers that are not whole, as {name} must be; write distribution: {remedy}", at_key=True)
        parameters[name] = None


def _notes(keys: dict[str, Cursor], metric: Metric) -> tuple[str, ...]:
    idle = [key for key in IDLE if key in keys]
    notes = [f"{', '.join(idle)}: for W&B's own agents, not used here"] if idle else []
    if "metric" in keys and isinstance(keys["metric"].value, dict) and "target" in keys["metric"].value:
        notes.append("metric.target: not used here, every trial trains to its end")
    if metric.goal == "maximize" and metric.name in METRICS:  # losses and errors all
        notes.append(f"metric.goal: maximize takes the largest {metric.name} for the best; write goal: minimize")
    return tuple(notes)
