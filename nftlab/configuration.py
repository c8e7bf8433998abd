"""Configurations: names and values checked against the declared hyper-parameters, built, written down again, told apart.

Standard library only, as nftlab/hypers.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from operator import ge, gt, le, lt
from typing import Any, get_type_hints

from nftlab.errors import nearest
from nftlab.hypers import ALGORITHMS, DATASETS, NFT, NFT_MODES, Hypers, misfits


def build(config: Mapping[str, Any]) -> Hypers:
    """Hyper-parameters from a mapping of values, defaults and presets filled in.

    Values are converted to the declared types (1 → 1.0, 5.0 → 5). Raises ValueError naming field and rule; call
    `check` first to collect every problem.
    """
    problems = check(config)
    if problems:
        raise ValueError("; ".join(f"{name}: {what}" for name, what in problems))
    cls = ALGORITHMS[config["algorithm"]]
    declared = _declared(cls)
    values = {name: _convert(declared[name][1], value) for name, value in config.items()}
    if cls is NFT:
        images = len(DATASETS[values.get("dataset", Hypers.dataset)].shape) == 3
        values = {"simplifier": "unet" if images else "fc", **NFT_MODES[values.get("mode", NFT.mode)], **values}
    return cls(**values)


def check(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every problem of a configuration, as (field, what is wrong and what is allowed); empty when it can run."""
    name = config.get("algorithm")
    if not isinstance(name, str) or name not in ALGORITHMS:
        return [("algorithm", f"{name!r} is not one of {', '.join(ALGORITHMS)}{nearest(str(name), ALGORITHMS)}")]
    known = _declared(ALGORITHMS[name])
    problems = [(key, f"unknown for algorithm {name}{nearest(key, known)}") for key in config if key not in known]
    for key, value in config.items():
        if key in known and (what := _problem(*known[key], value)):
            problems.append((key, what))
    return problems or misfits({name: _convert(known[name][1], value) for name, value in config.items()})


def value_of(name: str, text: str) -> Any:
    """A parameter's value from its text, by the declared type; `true` and `false` in any case.

    Raises ValueError, saying what is allowed, for what no algorithm can have.
    """
    declared = [_declared(cls)[name] for cls in ALGORITHMS.values() if name in _declared(cls)]
    if not declared:
        raise ValueError(f"no parameter{nearest(name, {known for cls in ALGORITHMS.values() for known in _declared(cls)})}")
    kind = declared[0][1]
    value = _parsed(kind, text)
    problems = [_problem(field, kind, value) for field, _ in declared]
    if name == "algorithm":
        problems = [dict(check({name: value})).get(name)]
    if all(problems):
        raise ValueError(problems[0])
    return _convert(kind, value)


def kind_of(name: str) -> type | None:
    """The type of a parameter's values; None where no algorithm declares it."""
    return next((declared[name][1] for declared in map(_declared, ALGORITHMS.values()) if name in declared), None)


def config_of(hypers: Hypers) -> dict[str, Any]:
    """The canonical configuration: every field, typed, in declaration order."""
    return {name: getattr(hypers, name) for name in _declared(type(hypers))}


def brief(config: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical configuration, or a part with its algorithm, without what came later and has its default.

    Job tables hold it and keys are made of it, so that nftlab of before those fields has the same keys and can train such jobs.
    """
    declared = _declared(ALGORITHMS[config["algorithm"]])
    later = {name: field.default for name, (field, _) in declared.items() if field.metadata["later"]}
    return {name: value for name, value in config.items() if name not in later or value != later[name]}


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical configuration of what `brief` gave, in this nftlab or in one that did not know all fields yet."""
    declared = _declared(ALGORITHMS.get(config.get("algorithm", ""), Hypers))
    whole = {name: config.get(name, field.default) for name, (field, _) in declared.items() if name in config or field.metadata["later"]}
    return whole | {name: value for name, value in config.items() if name not in whole}


def static_of(hypers: Hypers) -> dict[str, Any]:
    """The fields that trials of one pack must share."""
    return {name: getattr(hypers, name) for name, (field, _) in _declared(type(hypers)).items() if field.metadata["static"]}


def cost_key(hypers: Hypers) -> str:
    """Names trials that cost the same per epoch, by 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(brief(cost_factors(hypers)), sort_keys=True).encode()).hexdigest()[:16]


def cost_factors(hypers: Hypers) -> dict[str, Any]:
    """What an epoch costs depends on this: the static fields but `epochs`, and to a twentieth those that `costs`."""
    kept = {name: field.metadata for name, (field, _) in _declared(type(hypers)).items() if name != "epochs"}
    values = {name: getattr(hypers, name) for name, data in kept.items() if data["static"] or data["costs"]}
    return {name: coarse(value) if kept[name]["costs"] else value for name, value in values.items()}


def coarse(value: float | None) -> float | None:
    """To a twentieth: a search tries shares that nobody needs to tell apart to know what they cost."""
    return None if value is None else round(20 * value) / 20


def lane_cost_factors() -> list[str]:
    """The fields, of all algorithms, in which the lanes of a pack may differ and which change what an epoch costs."""
    declared = [item for cls in ALGORITHMS.values() for item in _declared(cls).items()]
    return list(dict.fromkeys(name for name, (field, _) in declared if field.metadata["costs"]))


def differing(configs: Iterable[Mapping[str, Any]], always: Collection[str] = ()) -> list[str]:
    """The parameters that tell configurations apart, and those to show `always`; one that only some have differs by its values alone."""
    found: dict[str, set[str]] = {}
    for config in configs:
        for name, value in config.items():
            found.setdefault(name, set()).add(repr(value))
    return [name for name, seen in found.items() if name in always or len(seen) > 1]


_READ: dict[type[Hypers], dict[str, tuple[dataclasses.Field[Any], type]]] = {}


def _declared(cls: type[Hypers]) -> dict[str, tuple[dataclasses.Field[Any], type]]:
    """Field and type by name, kept: reading annotations costs a hundred times more than using them, and a sweep has thousands of trials."""
    if cls not in _READ:
        kinds = get_type_hints(cls)
        _READ[cls] = {field.name: (field, kinds[field.name]) for field in dataclasses.fields(cls)}
    return _READ[cls]


def _parsed(kind: type, text: str) -> Any:
    """A text as that type; itself where it is none."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return float(text) if kind in (int, float) else text
    except ValueError:
        return text


def _convert(kind: type, value: Any) -> Any:
    return kind(value) if kind in (int, float) else value


def _problem(field: dataclasses.Field[Any], kind: type, value: Any) -> str | None:
    """What is wrong with one value, or None."""
    rules = field.metadata
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            return f"{value!r} is not {'true or false' if kind is bool else 'a text'}"
        choices = rules["choices"]
        if choices and value not in choices:
            return f"{value!r} is not one of {', '.join(choices)}{nearest(str(value), choices)}"
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) == float("inf"):
        return f"{value!r} is not a number"
    if kind is int and value != int(value):
        return f"{value!r} is not a whole number"
    return _out_of_bounds(rules, value)


def _out_of_bounds(rules: Mapping[str, Any], value: float) -> str | None:
    broken = {"is below": lt, "is above": gt, "must be greater than": le, "must be less than": ge}
    for (what, breaks), bound in zip(broken.items(), ("low", "high", "above", "below"), strict=True):
        if rules[bound] is not None and breaks(value, rules[bound]):
            return f"{value!r} {what} {rules[bound]}"
    return None
