"""What keys are made of: jobs recorded by an earlier nftlab stay the jobs that their sweep asks for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nftlab.configuration import brief, build, check, completed, config_of, cost_key, static_of
from nftlab.hypers import ALGORITHMS, Hypers
from nftlab.spec.model import trial_of
from nftlab.train import Member
from nftlab.train.lane import digest

LATER = [(name, field) for name, cls in ALGORITHMS.items() for field in dataclasses.fields(cls) if field.metadata["later"]]
# of the defaults with digits: trial key, pack key, cost key and the beginning of what checkpoints are known by
FIRST = {
    "ct": ("7e27601846f8af96", "f7f6444ddafa1f2e", "a8ed82296a6b03f1", "5127c5ead6029bcf"),
    "eef": ("eba0c75a46d49c25", "85277a416a741d8c", "39da012cc4d5ecfa", "6d07c5b1cfd678ba"),
    "ft": ("69e7abf5a4d56e5a", "25c1985e6f357f51", "90240d15b7be434e", "6c1f7e0f80912572"),
    "nft": ("9c851a452fe90fad", "67f7125dc18d9acf", "8962c3cf98f8e345", "3cd2109d375fd544"),
}


def others(field: dataclasses.Field[Any]) -> list[Any]:
    """Values that are not the field's default, some of them allowed."""
    if isinstance(field.default, bool):
        return [not field.default]
    if isinstance(field.default, str):
        return [choice for choice in field.metadata["choices"] if choice != field.default]
    return [type(field.default)(field.default + step) for step in (1, -1, 0.25, -0.25) if type(field.default)(step)]


@pytest.mark.parametrize("algorithm", FIRST)
def test_keys_are_those_of_the_first_nftlab_that_had_them(algorithm: str) -> None:
    """A field that is added to an algorithm must be declared `later`: else every sweep in every job table would be launched anew."""
    h = build({"algorithm": algorithm, "dataset": "digits"})
    trial = trial_of(h)
    assert (trial.key, trial.pack_key, cost_key(h), digest(Member("x", 1, h))[:16]) == FIRST[algorithm]


@pytest.mark.parametrize(("algorithm", "field"), LATER, ids=[f"{name}-{field.name}" for name, field in LATER])
def test_a_later_field_is_in_keys_only_where_it_is_not_its_default(algorithm: str, field: dataclasses.Field[Any]) -> None:
    h = build({"algorithm": algorithm, "dataset": "digits"})
    other = next(value for value in others(field) if not check({"algorithm": algorithm, "dataset": "digits", field.name: value}))
    changed = dataclasses.replace(h, **{field.name: other})
    assert field.name not in brief(trial_of(h).config)
    assert brief(trial_of(changed).config)[field.name] == other
    assert trial_of(changed).key != trial_of(h).key
    assert digest(Member("x", 1, changed)) != digest(Member("x", 1, h))
    assert (trial_of(changed).pack_key != trial_of(h).pack_key) == field.metadata["static"]
    assert static_of(h).get(field.name, field.default) == field.default, "methods find it all the same"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_table_holds_is_completed(algorithm: str) -> None:
    h: Hypers = build({"algorithm": algorithm, "dataset": "digits"})
    assert list(completed(brief(config_of(h))).items()) == list(config_of(h).items())
    assert build(brief(config_of(h))) == h
    assert completed({"algorithm": "gone", "lr": 1})["lr"] == 1


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"dataset": "two-moons", "normalize": "channels"}, "channels needs images"),
        ({"dataset": "mnist", "network": "vgg13", "batch_size": 1}, "BatchNorm in vgg13 needs at least 2 examples of mnist"),
        ({"dataset": "cifar10", "network": "vgg13", "batch_size": 1}, None),  # four places are left of an image
        ({"dataset": "digits", "network": "wrn10", "batch_size": 1}, None),
        ({"dataset": "two-moons", "network": "thin-resnet18"}, "thin-resnet18 needs images"),
        ({"algorithm": "fine-pruning", "epochs": 200.0, "window": 60.0}, None),  # a whole number may be written so
    ],
)
def test_what_does_not_go_together(config: dict[str, Any], told: str | None) -> None:
    found = check({"algorithm": "ct", **config})
    assert [what.startswith(told) for _, what in found] == [True] if told else found == []
