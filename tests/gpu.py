"""What tests on a GPU share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def refused_to_wait() -> Iterator[None]:
    """An error where the host would wait for the GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch does not see every such wait yet
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
