"""What ends a sweep's jobs early: at which epochs they are judged, for scripts and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nftlab.spec import Pruner, Sweep

SHOWN = 8  # epochs that a line lists
_PLACING = ("n_warmup_steps", "interval_steps", "min_iter", "max_iter", "s", "min_resource", "min_early_stopping_rate")


def judged(sweep: Sweep) -> dict[str, Any] | None:
    """The pruner's name and the epochs after which it judges, none where it never does; None without a pruner."""
    return {"name": sweep.pruner.name, "judged_after": _rungs(sweep, sweep.pruner)} if sweep.pruner else None


def told(sweep: Sweep) -> str:
    """One line such as `early_terminate: judged after epochs 2, 4`; of a pruner that never judges, why; empty without one."""
    if sweep.pruner is None:
        return ""
    name, found = sweep.pruner.name, [str(epoch) for epoch in _rungs(sweep, sweep.pruner)]
    if not found:
        given = ", ".join(f"{argument} {value}" for argument, value in sweep.pruner.args.items() if argument in _PLACING)
        return f"{name} never fires: with {given} no decision falls before a job's last epoch, which is {sweep.epochs} at most"
    if len(found) > SHOWN:
        found = [*found[:3], "…", found[-1]]
    return f"{name}: judged after epoch{'s' * (len(found) > 1)} {', '.join(found)}"


def _rungs(sweep: Sweep, pruner: Pruner) -> list[int]:
    """The epochs after which jobs may end early; after its last a job is done, and is not judged."""
    from nftlab.spec import rungs

    return rungs(pruner, sweep.epochs - 1)
