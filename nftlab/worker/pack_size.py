"""How many jobs to train as one program when nobody says: `--pack auto`.

First measures, not laws. On two CPU cores a lane's epoch of FC-A costs an eighth in a pack of 32 of what it costs alone; FC-B,
the CNNs and U-Nets gain nothing. The figures for CUDA are not measured yet. The size used is recorded on every attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ON_CPU = {"fc-a": 32}
_ON_CUDA = {"fc-a": 64, "fc-b": 32, "cnn-a": 16, "cnn-b": 16}
_UNET_ON_CUDA = 4


def auto(config: Mapping[str, Any], device: str) -> int:
    """The largest pack worth claiming for a job with this configuration on "cpu" or "cuda[:N]"."""
    cuda = device.startswith("cuda")
    if config.get("simplifier") == "unet":
        return _UNET_ON_CUDA if cuda else 1
    return (_ON_CUDA if cuda else _ON_CPU).get(str(config.get("network")), 1)
