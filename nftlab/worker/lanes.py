"""The jobs of a pack on the trainer's side: from claims to lanes and back to epoch rows, outcomes and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from nftlab.configuration import build, static_of
from nftlab.errors import ConfigError, DataError
from nftlab.hypers import Hypers
from nftlab.store import Claim, EpochRow, Outcome
from nftlab.train import EpochResult, Member, Pack
from nftlab.train.checkpoint import load, save, save_best
from nftlab.worker.messages import Epoch
from nftlab.worker.shelf import attempt_folder, clear_attempt, kept_at

CHECKPOINT = 10.0  # seconds between two of a lane: two fsyncs cost more than an epoch of a small network
SHARE = 0.01  # of the time that large or many ones may take: those of FC-B are 140 MB


class Lanes:
    """The claimed jobs, by key: what they are, how long they trained, which belong to others by now.

    `new(member, way)` makes a pack; one that has run empty is kept, so that the next of its kind starts warm.
    """

    def __init__(self, new: Callable[[Member, str], Pack], runs: Path) -> None:
        self._new, self._runs = new, runs
        self._pack: Pack | None = None
        self._kind: tuple[str, dict[str, Any]] | None = None  # of the pack: its way and what all its members share
        self._way = ""
        self._claims: dict[str, Claim] = {}
        self._seconds: dict[str, float] = {}  # of training, over all attempts
        self._next: dict[str, float] = {}  # when the next checkpoint is due, on the monotonic clock
        self._dropped: set[int] = set()  # attempts

    def begin(self, way: str) -> None:
        """Forgets the lanes there were: what comes next trains this way."""
        self._way = way
        for key in list(self._claims):
            self._leave(key)
        self._dropped.clear()

    def admit(self, claim: Claim) -> list[str]:
        """Gives a job its lane, where its last readable checkpoint left it; returns what could not be read, line by line.

        Raises ConfigError for a configuration that cannot run. After any exception there is no such lane.
        """
        key, member = claim.job_key, Member(claim.job_key, claim.seed, _hypers(claim))
        kind = self._way, static_of(member.hypers)
        if self._pack is None or (not self._claims and kind != self._kind):
            self._pack, self._kind = self._new(member, self._way), kind
        else:
            self._pack.add([member])
        try:
            clear_attempt(self._runs, claim)
            self._seconds[key], notes = _restore(self._pack, claim, self._runs)
        except BaseException:
            self._pack.remove(key)
            raise
        self._claims[key] = claim
        return notes

    @property
    def live(self) -> bool:
        """Whether there is anything to train."""
        return bool(self._pack and self._pack.live)

    def train_epoch(self, progress: Callable[[], None]) -> list[EpochResult]:
        """One epoch of every lane."""
        return self._full.train_epoch(progress)

    def drop(self, attempts: frozenset[int]) -> None:
        """Notes that jobs belong to others by now; may be called within an epoch."""
        self._dropped |= attempts

    @property
    def deserted(self) -> bool:
        """Whether there are lanes, and all of them belong to others or to nobody by now."""
        return bool(self._claims) and all(claim.attempt_id in self._dropped for claim in self._claims.values())

    def abandon(self) -> None:
        """Forgets the pack as it stands in the middle of an epoch: no lane of it can be used again."""
        self._pack = self._kind = None
        for of_lanes in (self._claims, self._seconds, self._next, self._dropped):
            of_lanes.clear()

    def tidy(self) -> Epoch | None:
        """Between epochs: dropped lanes go, and so do those restored at their end, with their outcomes if there are any.

        Of the latter the worker died before it could say that they were through. Raises DiskError.
        """
        for key in [key for key, claim in self._claims.items() if claim.attempt_id in self._dropped]:
            self._leave(key)
        live = self._pack.live if self._pack else []
        ends = [key for key in self._claims if key not in live]
        outcomes = tuple((self._claims[key].attempt_id, self._finish(key)) for key in ends)
        return Epoch((), outcomes) if outcomes else None

    def due(self, results: Sequence[EpochResult]) -> set[str]:
        """The lanes whose checkpoint is to be written: at their end, after their first epoch here, and now and then."""
        now = time.monotonic()
        return {result.key for result in results if result.finished or self._next.get(result.key, now) <= now}

    def record(self, results: Sequence[EpochResult], keep: Collection[str]) -> Epoch:
        """An epoch's rows and outcomes, the checkpoints of `keep` written first; lanes that are through go. Raises DiskError."""
        rows, outcomes = [], []
        for result in results:
            key = result.key
            claim = self._claims[key]
            if claim.attempt_id in self._dropped:
                continue
            self._seconds[key] += result.seconds
            path, sha = self._save(key) if key in keep and not result.diverged else (None, None)
            rows.append((claim.attempt_id, EpochRow(result.epoch, result.values, result.seconds, result.best, path, sha)))
            if result.finished:
                outcomes.append((claim.attempt_id, self._finish(key)))
        return Epoch(tuple(rows), tuple(outcomes))

    @property
    def _full(self) -> Pack:
        assert self._pack is not None  # while there are lanes
        return self._pack

    def _finish(self, key: str) -> Outcome:
        if best := self._full.best(key):
            save_best(attempt_folder(self._runs, self._claims[key]), best)
        end = self._outcome(key)
        self._leave(key)
        return end

    def _save(self, key: str) -> tuple[str, str]:
        began = time.monotonic()
        state = self._full.checkpoint(key)
        state.meta["seconds"] = self._seconds[key]
        path, sha = save(attempt_folder(self._runs, self._claims[key]), state)
        now = time.monotonic()
        self._next[key] = now + max(CHECKPOINT, len(self._claims) * (now - began) / SHARE)
        return str(path.absolute()), sha

    def _outcome(self, key: str) -> Outcome:
        end = self._full.summary(key)
        return Outcome(end.diverged, end.best_epoch, end.val_error, end.test_error, self._seconds[key])

    def _leave(self, key: str) -> None:
        self._full.remove(key)
        self._dropped.discard(self._claims.pop(key).attempt_id)
        del self._seconds[key]
        self._next.pop(key, None)


def _restore(pack: Pack, claim: Claim, runs: Path) -> tuple[float, list[str]]:
    """Puts a lane where its checkpoint left it: seconds trained before, and what could not be read."""
    notes = []
    tries = [(claim.checkpoint, claim.checkpoint_sha), (claim.previous, claim.previous_sha)]
    for path, sha in [(path, sha) for path, sha in tries if path and sha]:
        try:
            found = load(kept_at(runs, path), sha)
            pack.restore(claim.job_key, found)
        except (DataError, ConfigError) as error:  # ConfigError: another version of nftlab wrote it, with other fields
            notes.append(f"job {claim.job_key}: {error}")
        else:
            return float(found.meta["seconds"]), notes
    if claim.epoch:
        notes.append(f"job {claim.job_key}: no readable checkpoint, starts from epoch 0 again")
    return 0.0, notes


def _hypers(claim: Claim) -> Hypers:
    try:
        return build(claim.config)
    except ValueError as error:
        raise ConfigError(f"job {claim.job_key}: {error}") from None
