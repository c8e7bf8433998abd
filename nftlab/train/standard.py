"""Images as many published networks are shown them: each channel less its mean, divided by its deviation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from nftlab.data.task import Split

_AT_ONCE = 1000  # images summed in double precision
_ROUNDING = 1e-12  # of the mean square: a smaller variance is what rounding leaves of none


class Moments(NamedTuple):
    """Of the channels of a training set (channels,): mean and standard deviation, of the numbers as they are stored."""

    mean: Tensor
    deviation: Tensor


_KNOWN = WeakTensorKeyDictionary()  # by the images: a pass over them takes longer than a job may take to start


class Standard:
    """(x − mean) / deviation of images (..., channels, height, width), by the training set's own; a channel of one value becomes 0."""

    def __init__(self, train: Split, scale: float) -> None:
        mean, deviation = _moments(train.x)  # type: ignore[arg-type]  # sparse rows are no images
        self._mean, self._over = (mean * scale).view(-1, 1, 1), (1 / (deviation * scale)).nan_to_num(posinf=0.0).view(-1, 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self._mean.to(x.dtype)) * self._over.to(x.dtype)


def _moments(x: Tensor) -> Moments:
    if x not in _KNOWN:
        total = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
        squares = torch.zeros_like(total)
        for some in x.split(_AT_ONCE):  # of bytes both sums are whole numbers, exact on any device
            numbers = some.to(torch.float64)
            total += numbers.sum((0, 2, 3))
            squares += numbers.square().sum((0, 2, 3))
        n = x.numel() // x.shape[1]
        mean = total / n
        variance = squares / n - mean.square()
        _KNOWN[x] = Moments(mean, variance.where(variance > _ROUNDING * squares / n, 0).sqrt())
    found: Moments = _KNOWN[x]
    return found
