"""What stands under `nftlab:` beside W&B's grammar: seeds, zip, when, priority, retries, sample_seed, sampler, pruner."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from nftlab.errors import nearest
from nftlab.spec.choosers import Pruner, Sampler, read_pruner, read_sampler
from nftlab.spec.document import Cursor, show
from nftlab.spec.parameters import Parameter

KEYS = ("seeds", "zip", "when", "priority", "retries", "sample_seed", "sampler", "pruner")
# not a sweep's to say: machines differ, and several sweeps share them
LATER = {key: f"is a worker's option: nftlab worker --{key}" for key in ("budget", "pack")}
MOST_SEEDS = 10_000
_INT32 = 2**31 - 1  # what torch, numpy and the job table take alike


@dataclass(frozen=True)
class Extensions:
    """The settings with their defaults; `when` maps a parameter to what others must be for it to apply."""

    seeds: tuple[int, ...] = (0,)
    groups: tuple[tuple[str, ...], ...] = ()
    when: dict[str, dict[str, tuple[Any, ...]]] = field(default_factory=dict)
    priority: int = 0
    retries: int = 3
    sample_seed: int = 0
    sampler: Sampler | None = None
    pruner: Pruner | None = None

    def restricted(self, names: Set[str]) -> Extensions:
        """The settings without the groups and conditions that speak of other parameters."""
        groups = tuple(group for group in self.groups if names >= set(group))
        when = {name: others for name, others in self.when.items() if name in names and names >= others.keys()}
        return replace(self, groups=groups, when=when)


def read_extensions(at: Cursor | None, parameters: Mapping[str, Parameter | None], method: str | None) -> Extensions:
    """The settings at a cursor; what is wrong is reported and left at its default."""
    keys = at.known(KEYS, LATER) if at else {}
    found: dict[str, Any] = {}
    if "seeds" in keys:
        found["seeds"] = _seeds(keys["seeds"])
    if "zip" in keys:
        found["groups"] = _groups(keys["zip"], parameters)
    if "when" in keys:
        found["when"] = _when(keys["when"], parameters)
    if "priority" in keys:
        found["priority"] = keys["priority"].whole(-_INT32, _INT32)
    if "retries" in keys:
        found["retries"] = keys["retries"].whole(0, _INT32)
    if "sample_seed" in keys:
        found["sample_seed"] = keys["sample_seed"].whole()
        if method == "grid":
            keys["sample_seed"].fail("a grid draws nothing; sample_seed needs method: random or bayes", at_key=True)
    if method == "bayes":
        found["sampler"] = read_sampler(keys.get("sampler"), found.get("sample_seed") or 0)
    elif "sampler" in keys:
        keys["sampler"].fail("only a search has a sampler; it needs method: bayes", at_key=True)
    if "pruner" in keys:
        found["pruner"] = read_pruner(keys["pruner"])
    return Extensions(**{key: value for key, value in found.items() if value is not None})


def _seeds(at: Cursor) -> tuple[int, ...] | None:
    if not isinstance(at.value, list):
        count = at.whole(1, MOST_SEEDS)
        return None if count is None else tuple(range(count))
    seeds: list[int] = []
    for item in at.items() or ():
        seed = item.whole(0, _INT32)
        if seed in seeds:
            item.fail(f"seed {seed} is listed twice")
        elif seed is not None:
            seeds.append(seed)
    return tuple(seeds) or None


def _groups(at: Cursor, parameters: Mapping[str, Parameter | None]) -> tuple[tuple[str, ...], ...]:
    """The groups of parameters that advance together."""
    if isinstance(at.value, list) and at.value and not any(isinstance(node.value, list) for node in at.value):
        at.fail("is a list of groups; write zip: [[lr, batch_size], …]")
        return ()
    taken: set[str] = set()
    groups = [_group(item, parameters, taken) for item in at.items() or ()]
    return tuple(group for group in groups if group)


def _group(at: Cursor, parameters: Mapping[str, Parameter | None], taken: set[str]) -> tuple[str, ...]:
    items = at.items() or []
    group: list[str] = []
    for item in items:
        if not _names_one(item, parameters):
            continue
        if item.value in taken:
            item.fail(f"{item.value} is zipped twice")
        elif not _zippable(parameters[item.value]):
            item.fail(f"{item.value} has no list of values to zip; give it `values` without probabilities")
        else:
            group.append(item.value)
        taken.add(item.value)
    if len(items) == 1:
        at.fail("a group of one; zip two or more parameters")
    if len(group) < len(items) or len(items) < 2:
        return ()
    return tuple(group) if _aligned(at, [p for name in group if (p := parameters[name])]) else ()


def _zippable(parameter: Parameter | None) -> bool:
    """Whether a parameter has plain `values`; one that could not be read has its own problem."""
    return parameter is None or ("values" in parameter.at.value and not parameter.weights)


def _aligned(at: Cursor, group: list[Parameter]) -> bool:
    """Whether the members have equal lengths and no row is repeated."""
    lengths = [len(parameter.options) for parameter in group]
    if len(set(lengths)) > 1:
        at.fail("lengths differ: " + ", ".join(f"{p.name} has {n}" for p, n in zip(group, lengths, strict=True)))
        return False
    rows: set[tuple[Any, ...]] = set()
    for row in zip(*(parameter.options for parameter in group), strict=True):
        values = tuple(option.value for option in row)
        if values in rows:
            row[0].at.fail(f"the row {', '.join(map(show, values))} of {', '.join(p.name for p in group)} is listed twice")
        rows.add(values)
    return True


def _names_one(item: Cursor, parameters: Mapping[str, Parameter | None]) -> bool:
    """Whether an item is the name of a parameter of this file."""
    if not isinstance(item.value, str):
        item.fail(f"{show(item.value)} is not the name of a parameter")
    elif item.value not in parameters:
        item.fail(f"{item.value!r} is not in parameters{nearest(item.value, parameters)}")
    else:
        return True
    return False


def _when(at: Cursor, parameters: Mapping[str, Parameter | None]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """What other parameters must be for a parameter to apply."""
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, entry in (at.entries() or {}).items():
        if name not in parameters:
            entry.fail(f"not in parameters{nearest(name, parameters)}", at_key=True)
        elif name == "algorithm":
            entry.fail("algorithm is what decides which parameters there are; it cannot depend on them", at_key=True)
        else:
            found[name] = _conditions(name, entry, parameters)
    for name in found:
        if name in _ancestors(name, found):
            at.fail(f"{name} depends on itself: {' on '.join([name, *_ancestors(name, found)])}")
            return {}
    return found


def _conditions(name: str, at: Cursor, parameters: Mapping[str, Parameter | None]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    entries = at.entries()
    if entries == {}:
        at.fail(f"no condition; write {name}: {{other: value}}", at_key=True)
    for other, entry in (entries or {}).items():
        if other not in parameters:
            entry.fail(f"{other!r} is not in parameters{nearest(other, parameters)}", at_key=True)
            continue
        wanted = (entry.items() or []) if isinstance(entry.value, list) else [entry]
        parent = parameters[other]
        if parent and parent.distribution:
            entry.fail(f"{other} is drawn, not listed; a condition needs listed values", at_key=True)
        elif parent:
            values = tuple(item.value for item in wanted if _taken(item, parent))
            if values and len(values) == len(wanted):
                found[other] = values
    return found


def _taken(item: Cursor, parent: Parameter) -> bool:
    """Whether a value of a condition is one that its parameter takes."""
    if not item.scalar():
        return False
    values = [option.value for option in parent.options]
    if item.value in values:
        return True
    close = nearest(str(item.value), [str(value) for value in values])
    item.fail(f"{parent.name} is never {show(item.value)}; it takes {', '.join(map(show, values[:10]))}{close}")
    return False


def _ancestors(name: str, when: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The parameters that one depends on, directly or through others."""
    found: list[str] = []
    waiting = list(when.get(name, ()))
    while waiting:
        other = waiting.pop(0)
        if other not in found:
            found.append(other)
            waiting += when.get(other, ())
    return found
