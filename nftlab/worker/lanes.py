"""The jobs of a pack on the trainer's side: from claims to lanes and back to epoch rows, outcomes and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nftlab.errors import ConfigError, DataError
from nftlab.hypers import Hypers, build
from nftlab.store import Claim, EpochRow, Outcome
from nftlab.train import EpochResult, Member, Pack
from nftlab.train.checkpoint import load, save, save_best
from nftlab.worker.messages import Epoch
from nftlab.worker.shelf import open_attempt


class Lanes:
    """The claimed jobs by key: what they are, how long they trained, which belong to others by now."""

    def __init__(self, claims: Sequence[Claim], runs: Path) -> None:
        self._claims = {claim.job_key: claim for claim in claims}
        self._folders = {claim.job_key: open_attempt(runs, claim) for claim in claims}
        self._seconds = dict.fromkeys(self._claims, 0.0)  # of training, over all attempts
        self._dropped: set[str] = set()

    @property
    def members(self) -> list[Member]:
        """The lanes as the training loop wants them, in claim order; raises ConfigError for a configuration that cannot run."""
        return [Member(claim.job_key, claim.seed, _hypers(claim)) for claim in self._claims.values()]

    def restore(self, pack: Pack) -> list[str]:
        """Puts every lane where its last readable checkpoint left it; what could not be read is said, line by line."""
        notes = []
        for key, claim in self._claims.items():
            tries = [(claim.checkpoint, claim.checkpoint_sha), (claim.previous, claim.previous_sha)]
            for path, sha in [(path, sha) for path, sha in tries if path and sha]:
                try:
                    found = load(path, sha)
                    pack.restore(key, found)
                except DataError as error:
                    notes.append(f"job {key}: {error}")
                    continue
                self._seconds[key] = float(found.meta["seconds"])
                break
            else:
                if claim.epoch:
                    notes.append(f"job {key}: no readable checkpoint, starts from epoch 0 again")
        return notes

    def wanted(self, pack: Pack) -> bool:
        """Whether any live lane is still ours to train."""
        return any(key not in self._dropped for key in pack.live)

    def drop(self, keys: frozenset[str]) -> None:
        """Forgets jobs that belong to others by now."""
        self._dropped |= keys

    def through(self, pack: Pack) -> Epoch | None:
        """The outcomes of lanes that were restored at their end, None if there are none: their worker died before it could say so."""
        live = set(pack.live)
        outcomes = tuple((key, self._outcome(pack, key)) for key in self._claims if key not in live)
        return Epoch((), outcomes) if outcomes else None

    def record(self, pack: Pack, results: Sequence[EpochResult], *, keep: bool) -> Epoch:
        """An epoch's rows and outcomes; with `keep` every lane's checkpoint is written first. Raises DiskError when one cannot be."""
        rows, outcomes = [], []
        for result in results:
            key = result.key
            if key in self._dropped:
                continue
            self._seconds[key] += result.seconds
            path, sha = self._save(pack, key) if keep and not result.diverged else (None, None)
            rows.append((key, EpochRow(result.epoch, result.values, result.seconds, result.best, path, sha)))
            if result.finished:
                if best := pack.best(key):
                    save_best(self._folders[key], best)
                outcomes.append((key, self._outcome(pack, key)))
        return Epoch(tuple(rows), tuple(outcomes))

    def _save(self, pack: Pack, key: str) -> tuple[str, str]:
        state = pack.checkpoint(key)
        state.meta["seconds"] = self._seconds[key]
        path, sha = save(self._folders[key], state)
        return str(path.absolute()), sha

    def _outcome(self, pack: Pack, key: str) -> Outcome:
        end = pack.summary(key)
        return Outcome(end.diverged, end.best_epoch, end.val_error, end.test_error, self._seconds[key])


def _hypers(claim: Claim) -> Hypers:
    try:
        return build(claim.config)
    except ValueError as error:
        raise ConfigError(f"job {claim.job_key}: {error}") from None
