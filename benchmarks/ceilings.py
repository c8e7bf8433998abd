"""What a device can do at most, measured, and what a step asks of it, counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from nftlab.train.arithmetic import PRECISIONS, arithmetic


def ceilings(device: str) -> dict[str, float]:
    """Floating-point operations a second by precision, of a large product or convolution, the faster; bytes a second of a copy."""
    cuda = device.startswith("cuda")
    side, images = (8192, 512) if cuda else (1536, 16)
    found = {}
    for name, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        if name == "tf32" and not cuda:
            continue
        a = torch.randn(side, side, device=device, dtype=dtype)
        x = torch.randn(images, 128, 56, 56, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        w = torch.randn(128, 128, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        with arithmetic(torch.device(device), PRECISIONS[name], deterministic=False):
            product = 2 * side**3 / _seconds(lambda a=a: torch.mm(a, a), device)  # type: ignore[misc]
            convolution = 2 * x.numel() * 128 * 9 / _seconds(lambda x=x, w=w: F.conv2d(x, w, padding=1), device)  # type: ignore[misc]
        found[name] = max(product, convolution)
    source = torch.empty(2**30 if cuda else 2**27, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * len(source) / _seconds(lambda: target.copy_(source), device)
    return found


def _seconds(work: Callable[[], Any], device: str) -> float:
    """The best of a few, after one to warm up."""
    times = []
    for _ in range(6):
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write, as if nothing stayed in a cache between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            touched = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in touched)
        return out


def counted(step: Callable[[], Any]) -> tuple[int, int]:
    """(floating-point operations of its products and convolutions, bytes) of a step."""
    flops, traffic = FlopCounterMode(display=False), Traffic()
    with flops:
        step()
    with traffic:
        step()
    return flops.get_total_flops(), traffic.bytes
