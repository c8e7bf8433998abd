"""Where every random number of training comes from: one generator per (seed, purpose, epoch).

Generators live on the CPU and are made anew for each epoch, so numbers depend neither on the device, nor on the
other lanes of a pack, nor on interruptions, and no generator's state is ever saved.
"""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A CPU generator that is a pure function of its three arguments; `epoch` 0 is what precedes training."""
    return torch.Generator().manual_seed(_number(seed, purpose, epoch))


def seed_of(seed: int, purpose: str) -> int:
    """The number that seeds torch's global generator while a network draws its initial weights."""
    return _number(seed, purpose, 0)


def _number(seed: int, purpose: str, epoch: int) -> int:
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:4], "little")  # torch's CPU generator keeps 32 bits of a seed
