"""Where every random number of training comes from: (seed, purpose, epoch), hashed.

What is drawn once an epoch or less comes from torch's CPU generator. What every example needs (dropout, augmentation)
comes from a counter: the number at a place is a hash of the key and the place, in whole-number arithmetic that has the
same bits on every device. So numbers depend neither on the device, nor on the other lanes of a pack, nor on
interruptions, no generator's state is ever saved, and a GPU waits for no CPU.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

# SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), as signed 64-bit numbers
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_MIX = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))


def generator(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A CPU generator that is a pure function of its three arguments; `epoch` 0 is what precedes training."""
    return torch.Generator().manual_seed(_number(seed, purpose, epoch, 4))  # torch's CPU generator keeps 32 bits of a seed


def seed_of(seed: int, purpose: str) -> int:
    """The number that seeds torch's global generator while a network draws its initial weights."""
    return _number(seed, purpose, 0, 4)


def keys(seeds: list[int], purpose: str, epochs: list[int], device: torch.device | str) -> Tensor:
    """Keys for `words`, one per lane: (K,) int64, a single lane's without axis."""
    numbers = [_number(seed, purpose, epoch, 8) - 2**63 for seed, epoch in zip(seeds, epochs, strict=True)]
    return torch.tensor(numbers if len(numbers) > 1 else numbers[0], dtype=torch.int64).to(device)


def words(keys: Tensor, places: Tensor) -> Tensor:
    """64 random bits (int64) for each key and place: (*keys, *places)."""
    return _mixed(keys.view(*keys.shape, *(1 for _ in places.shape)) + (places + 1) * _GAMMA)


def starts(keys: Tensor, count: int) -> Tensor:
    """For `words_from`: `count` words for each of some examples, which lie one behind the other; (*keys, count)."""
    return keys.unsqueeze(-1) + (torch.arange(count, device=keys.device) + 1) * _GAMMA


def words_from(starts: Tensor, places: Tensor) -> Tensor:
    """`words` at the places place · count, …, place · count + count − 1 of each place (b,): (*keys, b, count)."""
    stride = (starts.shape[-1] * _GAMMA + 2**63) % 2**64 - 2**63
    return _mixed(starts.unsqueeze(-2) + (places * stride).unsqueeze(-1))


def _mixed(z: Tensor) -> Tensor:
    for shift, factor in _MIX:
        z ^= _shifted(z, shift)
        z *= factor
    return z.bitwise_xor_(_shifted(z, 31))


def _shifted(z: Tensor, by: int) -> Tensor:
    """z >> by with zeros coming in: torch's shift repeats the sign."""
    return (z >> by).bitwise_and_(2 ** (64 - by) - 1)


def _number(seed: int, purpose: str, epoch: int, size: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()[:size], "little")
