"""When a job falls behind: pure functions of the curves of its peers, the jobs of the same sweep and the same seed.

Decisions fall at rungs, epochs that the pruner's arguments fix, so that every job is judged at the same epochs, and by what the
others were worth at that epoch, not by what they have come to since.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nftlab.spec import Pruner, rungs

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner


@dataclass(frozen=True)
class Curve:
    """A job's values by epoch, when each was recorded, and whether it trained to its end."""

    values: Mapping[int, float]
    at: Mapping[int, float]
    done: bool = False


def needed(pruner: Pruner, epoch: int) -> list[int]:
    """The epochs of other jobs that a decision at a rung looks at."""
    return rungs(pruner, epoch) if pruner.name in ("successive_halving", "hyperband") else [epoch]


def behind(pruner: Pruner, goal: str, curves: Sequence[Curve], judged: Collection[int], epoch: int) -> set[int]:
    """Which of the jobs with the curves `judged` should end at an epoch that is a rung.

    `curves`: of all jobs of the sweep with this seed that recorded a rung, in launch order; of the others only the epochs
    `needed`. A job without a finite value at the epoch is left to its training, which knows divergence better.
    """
    judged = [mine for mine in judged if math.isfinite(curves[mine].values.get(epoch, math.nan))]
    if pruner.name == "early_terminate":
        sign = -1 if goal == "maximize" else 1
        reached = [sign * curve.values[epoch] for curve in curves if math.isfinite(curve.values.get(epoch, math.nan))]
        eta, strict = pruner.args["eta"], pruner.args["strict"]
        return {mine for mine in judged if _outside(sign * curves[mine].values[epoch], reached, eta, strict)}
    if pruner.name in ("successive_halving", "hyperband"):
        return _replayed(pruner, goal, curves, judged, epoch)
    return {mine for mine in judged if _at_once(pruner, goal, curves, mine, epoch)}


def _outside(value: float, reached: Sequence[float], eta: float, strict: bool) -> bool:
    """W&B's hyperband: worse than the value that a share 1/eta of those who reached the band beat (smaller is better).

    Strict keeps no more than that share, as the Hyperband paper does, and never less than the best.
    """
    ranked = sorted(reached)
    kept = int(len(ranked) / eta)
    return value > ranked[max(kept - 1, 0)] if strict else value > ranked[kept]


def _at_once(pruner: Pruner, goal: str, curves: Sequence[Curve], mine: int, epoch: int) -> bool:
    """Optuna's pruners that look at the other curves alone."""
    import optuna
    from optuna.trial import TrialState, create_trial

    study = _study(goal)
    for number, curve in enumerate(curves):
        values = {step: value for step, value in curve.values.items() if step <= epoch and math.isfinite(value)}
        if number == mine:
            judged = create_trial(state=TrialState.RUNNING, intermediate_values=values)
        elif curve.done and values:
            study.add_trial(create_trial(state=TrialState.COMPLETE, value=values[max(values)], intermediate_values=values))
    assert isinstance(judged, optuna.trial.FrozenTrial)
    return bool(build_pruner(pruner).prune(study, judged))


def _replayed(pruner: Pruner, goal: str, curves: Sequence[Curve], judged: Collection[int], epoch: int) -> set[int]:
    """Optuna's pruners that remember who passed which rung: all that was recorded up to a decision, in its order, is judged again.

    Once for all decisions: each is made where it stands in that order.
    """
    study, fallen = _study(goal), set()
    study.pruner = build_pruner(pruner)
    trials = [study.ask() for _ in curves]
    stops = set(needed(pruner, epoch))
    events = sorted((curve.at[step], number, step) for number, curve in enumerate(curves) for step in curve.values if step in stops)
    decisions = {(curves[mine].at[epoch], mine, epoch) for mine in judged}
    for event in events[: max((events.index(decision) for decision in decisions), default=-1) + 1]:
        _, number, step = event
        if math.isfinite(value := curves[number].values[step]):
            trials[number].report(value, step)
            if trials[number].should_prune() and event in decisions:
                fallen.add(number)
    return fallen


def _study(goal: str) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # of one name: Optuna's hyperband sorts trials into its brackets by the study's name and the trial's number
    direction = optuna.study.StudyDirection[goal.upper()]
    return optuna.create_study(study_name="peers", direction=direction, sampler=optuna.samplers.RandomSampler(0))


def build_pruner(pruner: Pruner) -> BasePruner:
    """Optuna's pruner of a name, with every argument."""
    from optuna import pruners

    made: dict[str, type[BasePruner]] = {
        "median": pruners.MedianPruner,
        "percentile": pruners.PercentilePruner,
        "threshold": pruners.ThresholdPruner,
        "successive_halving": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    return made[pruner.name](**pruner.args)
