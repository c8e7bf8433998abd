"""Proposing: a worker that finds nothing to claim asks the samplers of active searches for more trials."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from nftlab.errors import ConfigError, DatabaseError, OutageError
from nftlab.spec import Axis, Search, Sweep, Trial, load_text
from nftlab.store import Worker
from nftlab.store import proposals as table

if TYPE_CHECKING:
    from nftlab.search.study import Study

TURN = 60.0  # seconds until others may take over from a proposer that shows no sign of life
REPEATS = 3  # suggestions that repeat an earlier trial before one is drawn instead
DRAWS = 1000  # draws for a trial that was not proposed before, until the space counts as exhausted

Say = Callable[[str], None]
Spent = tuple[str, str, int]  # a sweep, its file (it may be deleted and launched with another) and how many trials it had


class Proposer:
    """One worker's way to the samplers; Optuna is loaded when there is something to ask or to tell."""

    def __init__(self, engine: Engine, me: Worker, say: Say, *, lease: float = TURN, without: Collection[str] = ()) -> None:
        self._without = without  # sweeps that are left to others, by now
        self._engine, self._me, self._say, self._lease = engine, me, say, lease
        self._storage: Any = None
        self._spent: set[Spent] = set()  # searches whose parameters allowed nothing new beyond so many trials
        self.broken: dict[str, float] = {}  # searches that cannot go on, and when they were launched: another launch may have mended them

    def left(self) -> bool:
        """Whether trials are still to be proposed, or results to be told."""
        for searched in self._sound():
            with self._apart(searched):
                if searched.untold or _room(searched):
                    return True
        return False

    def propose(self, places: int, *, above: int | None = None) -> int:
        """Tell the samplers what has ended and let them propose what fills so many places, one trial at least; returns the jobs added.

        Only those of searches of a priority `above` that, if given: jobs of that priority wait. A search that another worker
        proposes for right now is passed over.
        """
        added = 0
        for searched in self._sound(above):
            full = added > 0 and added >= places
            with self._apart(searched):
                if searched.untold or (_room(searched) and not full):
                    added += self._take_turn(searched, 0 if full else max(1, places - added))
        return added

    def _sound(self, above: int | None = None) -> list[table.Searched]:
        found = [searched for searched in table.searches(self._engine, above=above) if searched.name not in self._without]
        for searched in found:
            if self.broken.get(searched.name) != searched.launched_at:
                self.broken.pop(searched.name, None)
        return [searched for searched in found if searched.name not in self.broken]

    @contextmanager
    def _apart(self, searched: table.Searched) -> Iterator[None]:
        """What goes wrong with one search (its study is gone, a sampler fails, its file does not read any more) is said, and it is left."""
        try:
            yield
        except OutageError:
            raise
        except Exception as error:
            self.broken[searched.name] = searched.launched_at
            what = " ".join(str(error).split()) or type(error).__name__
            self._say(f"{searched.name}: no more trials are proposed here: {what}")

    def _take_turn(self, searched: table.Searched, places: int) -> int:
        from nftlab.search.study import Study, open_storage, told_plainly

        if self._storage is None:  # before the turn, which should be short: Optuna loads for a second, and its first tables for another
            self._storage = open_storage(self._engine)
        turn = f"{self._me.name}/{uuid.uuid4().hex[:8]}"
        source = table.take_turn(self._engine, searched.name, turn, self._lease)
        if source is None:
            return 0
        try:
            sweep = _read(searched.name, source)
            with told_plainly(self._engine):
                begun = bool(table.proposed(self._engine, searched.name))
                study = Study(self._storage, searched.name, sweep.metric, begun=begun)
                mine = _Turn(self._engine, study, sweep, turn, self._lease)
                mine.reconcile()
                return mine.propose(places, self._me, self._say, self._spent) if places and searched.active else 0
        except OutageError:
            raise
        except Exception:
            if table.has_turn(self._engine, searched.name, turn):
                raise
            return 0  # somebody else took over while this process stood still, and has put in order what it had begun
        finally:
            table.end_turn(self._engine, searched.name, turn)
            self._storage.engine.dispose()  # idle workers hold no connection for it


class _Turn:
    """What one worker does for one search while it has the turn."""

    def __init__(self, engine: Engine, study: Study, sweep: Sweep, turn: str, lease: float) -> None:
        assert sweep.search is not None
        self._engine, self._study, self._sweep, self._turn, self._lease = engine, study, sweep, turn, lease
        self._search: Search = sweep.search

    def reconcile(self) -> None:
        """Tell the sampler what became of its proposals, and of those that a dead proposer left behind."""
        for end in table.ended(self._engine, self._sweep.name):
            if self._renewed():
                table.told(self._engine, self._sweep.name, end.number, self._study.tell(end))
        known = table.proposed(self._engine, self._sweep.name)
        if known and max(known) >= len(self._study):
            gone = f"its Optuna study has {len(self._study)} trials of at least {max(known) + 1}"
            what = f"sweep {self._sweep.name} cannot go on: {gone}, so it was deleted"
            raise DatabaseError(what, "restore the database, or launch the search under another name")
        for number in self._study.lost(set(known)) if self._renewed() else ():
            self._study.discard(number)

    def propose(self, places: int, me: Worker, say: Say, spent: set[Spent]) -> int:
        """Ask for trials and put them into the table; returns the number of jobs. `spent` is kept up."""
        keys = set(table.proposed(self._engine, self._sweep.name).values())
        here = self._sweep.name, self._sweep.source, len(keys)
        if here in spent:
            table.exhausted(self._engine, self._sweep.name, self._turn)
            return 0
        room, startup = self._search.run_cap - len(keys), self._search.sampler.startup - len(keys)
        added = 0
        for _ in range(min(room, max(1, places // len(self._sweep.seeds), startup))):
            found = self._fresh(keys) if self._renewed() else None
            jobs = table.propose(self._engine, self._sweep, self._turn, *found, me) if found else 0
            if not found or not jobs:
                break
            keys.add(found[1].key)
            added += jobs
        if room > 0 and not added and self._drawn(keys) is None:
            say(
                f"{self._sweep.name}: all {len(keys)} configurations that its parameters allow are proposed, run_cap asks for more: stopped"
            )
            table.exhausted(self._engine, self._sweep.name, self._turn)
            spent.add(here)
        return added

    def _renewed(self) -> bool:
        """Whether the turn is still ours, for another lease."""
        return table.take_turn(self._engine, self._sweep.name, self._turn, self._lease) is not None

    def _fresh(self, keys: Collection[str]) -> tuple[int, Trial] | None:
        """A trial that was not proposed before: the sampler's or, where that repeats itself, a random one; None if there seems none."""
        answers = self._drawn(keys)
        for attempt in range(REPEATS + 1) if answers is not None else ():
            if attempt == REPEATS:
                self._study.enqueue(answers or {})
            number, trial = self._study.ask(self._search.space, self._search.sampler)
            if trial is not None and trial.key not in keys:
                return number, trial
            self._study.discard(number)
        return None

    def _drawn(self, keys: Collection[str]) -> dict[str, Any] | None:
        """Random answers that make a trial not proposed before, None if there seem none. Raises ConfigError where none can be trained."""
        rng = Random(f"{self._search.sampler.seed}/{len(self._study)}")
        why: list[ValueError] = []
        for _ in range(DRAWS):
            answers: dict[str, Any] = {}

            def suggest(axis: Axis, answers: dict[str, Any] = answers) -> Any:
                return answers.setdefault(axis.name, axis.draw(rng))

            try:
                if self._search.space.trial(suggest).key not in keys:
                    return answers
            except ValueError as error:
                why.append(error)
        if len(why) == DRAWS:
            what = f"none of {DRAWS} configurations drawn from its parameters can be trained: {why[-1]}"
            raise ConfigError(what, "mend its file and launch it again")
        return None


def _room(searched: table.Searched) -> int:
    """How many trials may still be proposed."""
    search = _read(searched.name, searched.source).search if searched.active else None
    return max(search.run_cap - searched.proposed, 0) if search else 0


@lru_cache(maxsize=64)  # asked for at every look at an empty queue
def _read(name: str, source: str) -> Sweep:
    return load_text(source, where=f"the stored file of sweep {name}", name=name, stored=True)
