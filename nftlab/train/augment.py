"""Random changes of training images, as batched tensor code whose random numbers are handed in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PAD = 4  # zeros around an image
_BITS = 20  # of the random number behind each offset: their 9 values are equally likely to 1 in 10⁵


def crop_flip(x: Tensor, noise: Tensor) -> Tensor:
    """Images (..., channels, height, width) cut at a random place from within `PAD` zeros around them, half of them mirrored.

    `noise` (...) has 64 random bits (int64) for each.
    """
    height, width = x.shape[-2:]
    high, wide, mirrored = _offset(noise), _offset(noise >> _BITS), (noise >> 2 * _BITS) & 1
    rows = high.unsqueeze(-1) + torch.arange(height, device=x.device)
    columns = torch.arange(width, device=x.device)
    columns = wide.unsqueeze(-1) + torch.where(mirrored.bool().unsqueeze(-1), columns.flip(0), columns)
    places = rows.unsqueeze(-1) * (width + 2 * PAD) + columns.unsqueeze(-2)
    padded = F.pad(x, (PAD, PAD, PAD, PAD)).flatten(-2)
    return padded.gather(-1, places.flatten(-2).unsqueeze(-2).expand(*x.shape[:-2], -1)).view_as(x)


def _offset(noise: Tensor) -> Tensor:
    """0 … 2·PAD from the lowest bits."""
    return ((noise & (2**_BITS - 1)) * (2 * PAD + 1)) >> _BITS
