"""How numbers are computed: the precisions that trials may ask for, and torch's switches while they train."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """`state`: type of weights, optimiser, losses and BatchNorm; `layers`: of what convolutions and linear layers multiply.

    `tf32`: a GPU may round the factors of fp32 products to 10 bits of mantissa.
    """

    state: torch.dtype
    layers: torch.dtype
    tf32: bool = False


PRECISIONS = {
    "fp32": Precision(torch.float32, torch.float32),
    "tf32": Precision(torch.float32, torch.float32, tf32=True),  # a CPU has no such units: there it is fp32
    "bf16": Precision(torch.float32, torch.bfloat16, tf32=True),
    "fp64": Precision(torch.float64, torch.float64),
}


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: Precision, *, deterministic: bool) -> Iterator[None]:
    """torch's switches while lanes train or are evaluated; the process has its own back afterwards.

    Where torch starts, convolutions on a GPU round to TF32 unasked: fp32 here means fp32.
    """
    with _deterministic(deterministic), contextlib.ExitStack() as stack:
        if device.type == "cuda":
            products = "tf32" if precision.tf32 else "ieee"
            for backend in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):  # type: ignore[attr-defined]
                stack.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
                backend.fp32_precision = products
            stack.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
            torch.backends.cudnn.benchmark = not deterministic  # shapes are few and return thousands of times
        yield


@contextlib.contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    if not wanted or torch.are_deterministic_algorithms_enabled():  # torch's switch imports its compiler: seconds
        yield
        return
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
