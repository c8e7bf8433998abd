"""Wrong labels, on purpose."""

from __future__ import annotations

import torch
from torch import Tensor

RECIPES = ("permute", "flip")


def noisy(labels: Tensor, fraction: float, generator: torch.Generator, recipe: str, classes: int) -> Tensor:
    """A copy of training labels (n,) int64 of which a share of `fraction` (0 … 1) was touched.

    "permute": the labels of the first int(n · fraction) rows are permuted among themselves, so with c balanced classes about
    1/c of them stay as they were (docs/data.md). "flip": exactly round(n · fraction) rows get another class, each of the others
    as likely; labels are 0 … `classes` − 1. Raises ValueError for another recipe or fraction.
    """
    if recipe not in RECIPES or not 0 <= fraction <= 1:
        raise ValueError(f"label noise {recipe!r} {fraction!r}: {' or '.join(RECIPES)}, and 0 … 1, expected")
    result = labels.clone()
    if recipe == "permute":
        touched = int(len(labels) * fraction)
        result[:touched] = labels[torch.randperm(touched, generator=generator, device=generator.device).to(labels.device)]
        return result
    rows = torch.randperm(len(labels), generator=generator, device=generator.device)[: round(len(labels) * fraction)].to(labels.device)
    step = torch.randint(1, classes, (len(rows),), generator=generator, device=generator.device).to(labels.device)
    result[rows] = (labels[rows] + step) % classes
    return result
