"""Whether an error means that memory ran out, whoever says so."""

from __future__ import annotations

import torch

# CUDA's libraries, the driver, the host's allocator; torch itself raises an OutOfMemoryError
_WORDS = ("ALLOC_FAILED", "CUDA error: out of memory", "DefaultCPUAllocator")


def ran_out(error: BaseException) -> bool:
    """Whether fewer examples or lanes at once might have done."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
