"""Turning images: bilinear, about the centre, size kept."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def rotated(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Images (n, 1, side, side) uint8, each turned counter-clockwise as displayed by its angle (n,) in radians.

    What comes from outside the frame is 0; values are rounded to the nearest. Computed in float64, so that
    processors that round differently still agree on the result.
    """
    turn = torch.from_numpy(np.asarray(angles, dtype=np.float64))
    cos, sin, zero = turn.cos(), turn.sin(), torch.zeros_like(turn)
    # Rows run downwards, so turning the sampling grid clockwise by the usual formula turns what is seen the other way.
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    source = torch.from_numpy(images).double()
    grid = F.affine_grid(matrix, list(source.shape), align_corners=False)
    turned = F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return turned.round_().to(torch.uint8).numpy()
