"""The methods as plain modules, torch.optim and straight loops.

An independent reading of the methods' specification: nothing here comes from nftlab. Initial weights, the order of
examples and the dropout masks are handed in as tensors; parameters are loaded by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from tests.train.reference_nets import drop

Batches = Sequence[Tensor]  # row numbers of each batch of one pass
Masks = Sequence[Sequence[Tensor]]  # of each batch of one pass


def adam(module: nn.Module, lr: float, weight_decay: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=lr, weight_decay=weight_decay)


def learn(net: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, masks: Sequence[Tensor]) -> None:
    """One step on one batch."""
    net.train()
    drop(net, masks)
    optimiser.zero_grad()
    F.cross_entropy(net(x), y).backward()
    optimiser.step()


def classic(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    orders: Sequence[Batches],
    masks: Sequence[Masks],
    optimiser: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """Epochs of classic training."""
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            learn(net, optimiser, x[rows], y[rows], masks[epoch][step])
        if scheduler:
            scheduler.step()


def faded(t: int, ratio: float, total: int) -> float:
    """The published programs' quadratic schedule after t of `total` steps."""
    last = int(ratio * total)
    return max(1 - t / last, 0) ** 2 if last else 0


def friendly(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    orders: Sequence[Batches],
    masks: Sequence[Masks],
    *,
    total_epochs: int,
    ratio: float,
    tau: int,
    beta: float,
    confidence: float | None,
    lr: float,
    weight_decay: float,
) -> int:
    """The published program without its reordering; returns how many examples came to rest before their iterations were over."""
    optimiser, t, rested = adam(net, lr, weight_decay), 0, 0
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            net.eval()
            drop(net, None)
            shown, active = x[rows].clone(), torch.arange(len(rows))
            for _ in range(int(tau * faded(t, ratio, total_epochs * len(batches)))):
                moving = shown[active].requires_grad_()
                outputs = net(moving)
                (slope,) = torch.autograd.grad(F.cross_entropy(outputs, y[rows][active]), moving)
                probability, guess = outputs.softmax(1).max(1)
                rest = (guess == y[rows][active]) & (probability > confidence if confidence is not None else True)
                rested += int(rest.sum())
                active, slope = active[~rest], slope[~rest]
                if not len(active):
                    break
                shown[active] -= beta * slope
            learn(net, optimiser, shown, y[rows], masks[epoch][step])
            t += 1
    return rested


def fine_pruning(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    orders: Sequence[Tensor],
    edges: Callable[[int], Sequence[tuple[int, int]]],
    masks: Callable[[int, int], Masks],
    *,
    pruned: Sequence[bool],
    window: int,
    share: float,
    tolerance: float,
    lr: float,
    weight_decay: float,
) -> list[dict[int, int]]:
    """Examples whose loss was often above the batch's mean are left out of some epochs; returns the counts after each epoch."""
    optimiser, counts, told = adam(net, lr, weight_decay), dict.fromkeys(range(len(x)), 0), []
    for epoch, order in enumerate(orders, start=1):
        rows = order.tolist()
        if epoch % window == 0:
            counts = dict.fromkeys(range(len(x)), 0)
        if pruned[epoch - 1]:
            kept = sorted(rows, key=lambda row: counts[row])[: len(x) - round(share * len(x))]  # of equals the first drawn
            rows = [row for row in rows if row in set(kept)]
        drops = masks(epoch, len(rows))
        for step, (start, stop) in enumerate(edges(len(rows))):
            batch = torch.tensor(rows[start:stop])
            net.train()
            drop(net, drops[step])
            losses = F.cross_entropy(net(x[batch]), y[batch], reduction="none")
            for row, loss in zip(batch.tolist(), losses.tolist(), strict=True):
                counts[row] += loss > losses.mean().item() * (1 + tolerance)
            optimiser.zero_grad()
            losses.mean().backward()
            optimiser.step()
        told.append(dict(counts))
    return told


def easy_first(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    orders: Sequence[Batches],
    masks: Sequence[Masks],
    *,
    total_epochs: int,
    ratio: float,
    kappa_0: float,
    lr: float,
    weight_decay: float,
) -> list[int]:
    """Of each batch the easiest, in their order; returns how many were kept of each."""
    optimiser, t, counts = adam(net, lr, weight_decay), 0, []
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            kappa = 1 - (1 - kappa_0) * faded(t, ratio, total_epochs * len(batches))
            k = ceil(kappa * len(rows))
            net.eval()
            drop(net, None)
            losses = F.cross_entropy(net(x[rows]), y[rows], reduction="none")
            easiest = sorted(sorted(range(len(rows)), key=lambda i: losses[i].item())[:k])
            learn(net, optimiser, x[rows[easiest]], y[rows[easiest]], [m[:k] for m in masks[epoch][step]])
            counts.append(k)
            t += 1
    return counts


def easy_epochs(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    orders: Sequence[Batches],
    masks: Sequence[Masks],
    *,
    total_epochs: int,
    ratio: float,
    kappa_0: float,
    lr: float,
    weight_decay: float,
) -> list[int]:
    """Of the whole set the easiest, once an epoch; batches of eight, a last one of one joins the one before. Returns how many."""
    optimiser, counts = adam(net, lr, weight_decay), []
    for epoch, batches in enumerate(orders):
        k = floor((1 - (1 - kappa_0) * faded(epoch, ratio, total_epochs)) * len(x))
        net.eval()
        drop(net, None)
        losses = F.cross_entropy(net(x), y, reduction="none")
        easiest = set(sorted(range(len(x)), key=lambda i: losses[i].item())[:k])
        drawn = torch.tensor([i for i in torch.cat(list(batches)).tolist() if i in easiest])
        drops = [torch.cat([m[site] for m in masks[epoch]]) for site in range(len(masks[epoch][0]))]
        start = 0
        while start < k:
            stop = k if start + 8 >= k - 1 else start + 8
            learn(net, optimiser, x[drawn[start:stop]], y[drawn[start:stop]], [m[start:stop] for m in drops])
            start = stop
        counts.append(k)
    return counts


def paper(
    net: nn.Module,
    aux: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    learn: tuple[Sequence[Batches], Sequence[Masks]],
    simplify: Sequence[Batches],
    total_epochs: int,
    ratio: float,
    eta_max: float,
    lr: float,
    lr_simp: float,
    weight_decay: float,
    wd_simp: float,
) -> None:
    """The algorithm as printed: the auxiliary net first, then the classifier; identity in the first epoch."""
    net_optimiser, aux_optimiser = adam(net, lr, weight_decay), adam(aux, lr_simp, wd_simp)
    last = int(ratio * total_epochs)
    orders, masks = learn
    for gamma in range(1, len(orders) + 1):
        simple = 1 < gamma <= last
        if simple:
            eta = eta_max * (1 - max(1 - (gamma - 1) / (last - 1), 0) ** 2)
            net.eval()
            aux.train()
            drop(net, None)
            for rows in simplify[gamma - 1]:
                aux_optimiser.zero_grad()
                shown = aux(x[rows], y[rows])
                norms = ((shown - x[rows]) ** 2).sum(dim=(1, 2, 3))
                (F.cross_entropy(net(shown), y[rows], reduction="none") + eta * norms).mean().backward()
                aux_optimiser.step()
        net.train()
        for step, rows in enumerate(orders[gamma - 1]):
            drop(net, masks[gamma - 1][step])
            net_optimiser.zero_grad()
            shown = aux(x[rows], y[rows]).detach() if simple else x[rows]
            F.cross_entropy(net(shown), y[rows]).backward()
            net_optimiser.step()


def code(
    net: nn.Module,
    aux: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    learn: tuple[Sequence[Batches], Sequence[Masks]],
    simplify: tuple[Sequence[Batches], Sequence[Masks]],
    total_epochs: int,
    ratio: float,
    eta_max: float,
    lr: float,
    lr_simp: float,
    weight_decay: float,
    wd_simp: float,
) -> None:
    """The algorithm as published in code: strength falls step by step, classifier first, mean squared error added twice."""
    net_optimiser, aux_optimiser = adam(net, lr, weight_decay), adam(aux, lr_simp, wd_simp)
    orders, masks = learn
    end = int(ratio * total_epochs * len(orders[0]))
    t, mse = 0, nn.MSELoss()
    net.train()
    aux.train()
    for epoch, batches in enumerate(orders):
        for step, rows in enumerate(batches):
            strength = max(1 - t / end, 0) ** 2 if end else 0
            drop(net, masks[epoch][step])
            net_optimiser.zero_grad()
            aux_optimiser.zero_grad()
            F.cross_entropy(net(aux(x[rows], y[rows]) if strength > 0 else x[rows]), y[rows]).backward()
            net_optimiser.step()
            t += 1
        if strength > 0:
            for step, rows in enumerate(simplify[0][epoch]):
                drop(net, simplify[1][epoch][step])
                net_optimiser.zero_grad()
                aux_optimiser.zero_grad()
                shown = aux(x[rows], y[rows])
                loss = F.cross_entropy(net(shown), y[rows]) + eta_max * (1 - strength) * mse(shown, x[rows])
                loss = loss + eta_max * (1 - strength) * mse(shown, x[rows])
                loss.backward()
                aux_optimiser.step()
