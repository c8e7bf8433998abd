"""Wrong labels: how many, which, and the same from the same generator."""

from __future__ import annotations

import pytest
import torch

from nftlab.data.noise import RECIPES, noisy

LABELS = torch.arange(10).repeat(5000)


def drawn(fraction: float, recipe: str, seed: int = 0) -> torch.Tensor:
    return noisy(LABELS, fraction, torch.Generator().manual_seed(seed), recipe, 10)


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_depends_on_the_generator_only_and_spares_what_it_is_given(recipe: str) -> None:
    before = LABELS.clone()
    assert torch.equal(drawn(0.1, recipe), drawn(0.1, recipe))
    assert not torch.equal(drawn(0.1, recipe), drawn(0.1, recipe, seed=1))
    assert torch.equal(LABELS, before)


@pytest.mark.parametrize("recipe", RECIPES)
def test_none_changes_nothing(recipe: str) -> None:
    assert torch.equal(drawn(0, recipe), LABELS)


@pytest.mark.parametrize("fraction", [0.1, 0.4, 1.0])
def test_permuting_touches_the_first_rows_and_leaves_a_tenth_of_them_as_they_were(fraction: float) -> None:
    found = drawn(fraction, "permute")
    touched = int(len(LABELS) * fraction)
    assert torch.equal(found[touched:], LABELS[touched:])
    assert torch.equal(found.bincount(), LABELS.bincount())
    # of what is permuted a tenth keeps its label; of 5,000 4,491 change with the published index
    assert (found != LABELS).sum() / touched == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("fraction", "count"), [(0.1, 5000), (0.00001, 0), (0.00003, 2), (1.0, 50_000)])
def test_flipping_changes_exactly_so_many_to_any_other_class(fraction: float, count: int) -> None:
    found = drawn(fraction, "flip")
    assert (found != LABELS).sum() == count
    if count >= 5000:
        steps = ((found - LABELS) % 10)[found != LABELS].bincount(minlength=10)
        assert steps[0] == 0
        assert (steps[1:] - count / 9).abs().max() < 0.15 * count / 9


def test_flipping_knows_classes_that_do_not_occur() -> None:
    found = noisy(torch.zeros(1000, dtype=torch.int64), 1.0, torch.Generator().manual_seed(0), "flip", 3)
    assert set(found.tolist()) == {1, 2}


@pytest.mark.parametrize(("fraction", "recipe"), [(0.1, "shuffle"), (-0.1, "flip"), (1.1, "permute")])
def test_another_recipe_or_fraction_is_refused(fraction: float, recipe: str) -> None:
    with pytest.raises(ValueError, match="permute or flip"):
        drawn(fraction, recipe)
