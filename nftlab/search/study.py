"""The Optuna study of a sweep, in the same database: asked for suggestions, told of results, open to optuna-dashboard."""

from __future__ import annotations

import hashlib
import math
import statistics
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from nftlab.errors import DatabaseError
from nftlab.spec import Axis, Metric, Sampler, Trial
from nftlab.spec.space import Space
from nftlab.store import ACCEPTED, objective, shown
from nftlab.store.engine import connecting, limit, making_tables
from nftlab.store.faults import translate
from nftlab.store.proposals import Proposed
from nftlab.store.studies import MARK

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage

PATIENCE = 60.0  # seconds Optuna waits for a locked SQLite file: each of its statements that writes is a transaction of its own
LOCK = 5.0  # seconds that Optuna waits for rows on Postgres: it asks five times, and leases are to be renewed meanwhile
POINTS = 50  # of a curve that Optuna is told: each costs it a transaction


class Study:
    """One sweep's study. Trials are named by their number in it.

    `begun`: trials were proposed from it. If not, what there is of it is of a proposer that died or of a file that was launched
    before, and it begins anew. Raises DatabaseError where one of that name is somebody else's.
    """

    def __init__(self, storage: RDBStorage, name: str, metric: Metric, *, begun: bool) -> None:
        import optuna

        self._storage, self._metric = storage, metric
        if not begun:
            _clear(storage, name)
        direction = optuna.study.StudyDirection[metric.goal.upper()]
        study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
        if MARK not in study.user_attrs:
            study.set_user_attr(MARK, True)
        self._study, self._id = study, storage.get_study_id_from_name(name)

    def __len__(self) -> int:
        return self._storage.get_n_trials(self._id)

    def ask(self, space: Space, sampler: Sampler) -> tuple[int, Trial | None]:
        """The number of a new trial and what the sampler suggests; None for what cannot be trained.

        Suggestions depend on the study, the sampler's seed and the trial's number alone, not on the process that asks.
        """
        self._study.sampler = build_sampler(sampler, len(self))
        trial = self._study.ask()
        try:
            found = space.trial(partial(_suggest, trial))
        except ValueError:
            return trial.number, None
        trial.set_user_attr("trial_key", found.key)
        return trial.number, found

    def enqueue(self, answers: dict[str, Any]) -> None:
        """Let the next trial asked for be this one."""
        self._study.enqueue_trial(answers)

    def discard(self, number: int) -> None:
        """A trial that will not be trained: it repeats another, cannot be trained, or its proposer died."""
        self._study.tell(number, state=_state("FAIL"), skip_if_finished=True)

    def lost(self, known: set[int]) -> list[int]:
        """Trials that somebody asked for and never proposed."""
        return [trial.number for trial in self._study.get_trials(deepcopy=False, states=(_state("RUNNING"),)) if trial.number not in known]

    def tell(self, end: Proposed) -> str:
        """Tell what became of a proposal; returns "complete", "pruned" or "failed"."""
        if any(state not in ACCEPTED for state in end.states):
            self.discard(end.number)
            return "failed"
        curve = mean_curve(end, self._metric.name)
        best = mean_best(end, self._metric.name)
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, end.number)
        if not self._storage.get_trial(trial).state.is_finished():
            for epoch, value in _thinned(curve):
                self._storage.set_trial_intermediate_value(trial, epoch, value)
            state = _state("COMPLETE" if best is not None else "PRUNED")
            self._study.tell(end.number, best, state=state)
        return "complete" if best is not None else "pruned"


def _clear(storage: RDBStorage, name: str) -> None:
    """Delete the study that a search has before its first proposal, if any. Raises DatabaseError for one that is not known to be ours."""
    import optuna

    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return
    trials = study.trials
    if MARK not in study.user_attrs and (study.user_attrs or any("trial_key" not in trial.user_attrs for trial in trials)):
        what = f"the database holds an Optuna study {name!r} with {len(trials)} trials that no search of nftlab made"
        raise DatabaseError(what, f"launch the search under another name, or, if nobody needs it, optuna delete-study --study-name {name}")
    optuna.delete_study(study_name=name, storage=storage)


def mean_best(end: Proposed, metric: str) -> float | None:
    """The trial's value by the metric (see `objective`)."""
    values = [curve.get(best or 0, {}).get(metric, math.nan) for best, curve in zip(end.best_epochs, end.curves, strict=True)]
    return objective(end.states, values)


def mean_curve(end: Proposed, metric: str) -> dict[int, float]:
    """The mean over seeds by epoch, where every seed has a value."""
    shared = sorted(set.intersection(*(set(curve) for curve in end.curves)))
    means = {epoch: statistics.fmean(curve[epoch].get(metric, math.nan) for curve in end.curves) for epoch in shared}
    return {epoch: mean for epoch, mean in means.items() if math.isfinite(mean)}


def build_sampler(sampler: Sampler, number: int) -> BaseSampler:
    """Optuna's sampler for the trial of one number; only the points of quasi-Monte-Carlo come from one sequence for all."""
    from optuna import samplers

    args = {name: value for name, value in sampler.args.items() if value is not None}
    seed = int.from_bytes(hashlib.sha256(f"{sampler.seed}/{number}".encode()).digest()[:4])
    alone = samplers.RandomSampler(seed)  # for parameters that a sampler of numbers cannot choose
    with _quiet():
        if sampler.name == "tpe":
            return samplers.TPESampler(seed=seed, **args)
        if sampler.name == "cmaes":
            return samplers.CmaEsSampler(seed=seed, independent_sampler=alone, warn_independent_sampling=False, **args)
        if sampler.name == "gp":
            return samplers.GPSampler(seed=seed, independent_sampler=alone, warn_independent_sampling=False, **args)
        if sampler.name == "qmc":
            own = sampler.seed % 2**32
            return samplers.QMCSampler(seed=own, independent_sampler=alone, warn_independent_sampling=False, **args)
        if sampler.name == "nsgaii":
            return samplers.NSGAIISampler(seed=seed, **args)
        return alone


def open_storage(engine: Engine) -> RDBStorage:
    """Optuna's storage in our database; its tables are made by one process at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sqlite = engine.dialect.name == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": PATIENCE} if sqlite else connecting(engine.url), "pool_pre_ping": not sqlite}
    with making_tables(engine), told_plainly(engine):
        storage = optuna.storages.RDBStorage(engine.url.render_as_string(hide_password=False), options)
    if not sqlite:
        limit(storage.engine, LOCK)
        storage.engine.dispose()  # the connection that made the tables has no limits
    return storage


@contextmanager
def told_plainly(engine: Engine) -> Iterator[None]:
    """Turn what Optuna raises when the database fails it into a DatabaseError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError

    try:
        with _quiet():
            yield
    except (StorageInternalError, DBAPIError) as error:
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        mendable = translate(engine.url, cause.orig) if isinstance(cause, DBAPIError) else None
        raise mendable or DatabaseError(f"{shown(engine.url)}: Optuna could not use it: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of Optuna about what we chose knowingly."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _suggest(trial: optuna.Trial, axis: Axis) -> Any:
    """The sampler's answer. Raises DatabaseError where the study knows the parameter otherwise, which no further question changes."""
    try:
        return _answer(trial, axis)
    except ValueError as error:
        what = f"its Optuna study has {axis.name} with other values: {error}"
        raise DatabaseError(what, "launch the search under another name") from error


def _answer(trial: optuna.Trial, axis: Axis) -> Any:
    if axis.choices:
        return trial.suggest_categorical(axis.name, axis.choices)
    low, high, step = axis.range.low, axis.range.high, axis.range.step
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        return trial.suggest_int(axis.name, low, high, step=step)
    return trial.suggest_float(axis.name, low, high, step=step, log=axis.range.log)


def _thinned(curve: dict[int, float]) -> list[tuple[int, float]]:
    """At most POINTS of a curve, evenly, always with its last."""
    points = list(curve.items())
    stride = -(-len(points) // POINTS) if points else 1
    return points[::-1][::stride][::-1]


def _state(name: str) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return TrialState[name]
