"""How many jobs to train as one program, and which way: measured once per kind of job and device, then remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from nftlab.configuration import build, cost_key
from nftlab.speeds import Speed, fastest
from nftlab.store import Claim, EpochRow, known, remember
from nftlab.worker.circumstances import where
from nftlab.worker.messages import Measure, Measured, Ready

MOST = 128  # jobs at once, when nobody says how many
REMEMBER = 60.0  # seconds of training between two notes of its speed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """How many jobs train as one pack, and which way; `speeds` is what it was chosen from.

    `kind` is the cost key, None for a configuration that cannot run. `open`: more at once may be faster still, but too few
    jobs waited to try.
    """

    lanes: int = 1
    way: str = "apart"
    kind: str | None = None
    speeds: tuple[Speed, ...] = ()
    open: bool = False

    def noted(self) -> dict[str, Any]:
        """What attempts record of it: the way, and seconds per lane and epoch by way and lanes."""
        table: dict[str, dict[int, float]] = {}
        for speed in self.speeds:
            table.setdefault(speed.way, {})[speed.lanes] = float(f"{speed.seconds:.3g}")
        return {"way": self.way, "speeds": table}

    @property
    def recorded(self) -> bool:
        """Whether steps are recorded, which takes memory."""
        return self.way.endswith("-graph")

    def outgrown(self, waiting: int) -> bool:
        """Whether so many waiting jobs are worth another choice."""
        return self.open and waiting >= 2 * self.lanes


class Sizes:
    """A worker's choices. `asked`: the most jobs at once, None: as many as pays.

    Asked for one at a time nothing is measured or looked up, so that whoever does so on a like machine gets the same bits.
    """

    def __init__(self, engine: Engine, asked: int | None, measure: Callable[[Measure], Measured | None], say: Say) -> None:
        self._engine, self._asked, self._measure, self._say = engine, asked, measure, say
        self._limits: dict[str, int] = {}  # pack key → the largest pack that this machine's memory takes
        self._tried: dict[str, int] = {}  # cost key → the largest pack that was to be measured here
        self._eager: set[str | None] = set()  # cost keys of which not even one lane can be recorded in this machine's memory

    def limit(self, pack_key: str, size: int) -> None:
        """From now on trains at most `size` such jobs at once."""
        self._limits[pack_key] = max(1, size)

    def run_eagerly(self, kind: str | None) -> None:
        """From now on trains such jobs one by one and as they are, nothing recorded."""
        self._eager.add(kind)

    def places(self, pack_key: str, choice: Choice) -> int:
        """How many jobs of a pack may train at once by now."""
        return min(choice.lanes, self._limits.get(pack_key, choice.lanes))

    def choose(self, head: Mapping[str, Any], waiting: int, ready: Ready) -> Choice:
        """The choice for the queue's head (`Queue.peek`) and its kin, of whom `waiting` can be claimed; measures if need be."""
        single = _single(ready.device)
        try:
            hypers = build(head["config"])
        except ValueError:
            return Choice(1, single)  # it will fail, alone
        kind, most = cost_key(hypers), self._asked or MOST
        cap = 1 if head["alone"] else min(most, self._limits.get(head["pack_key"], most))
        speeds = self._known(where(ready), kind)
        if kind in self._eager:
            return Choice(1, "apart", kind, tuple(speeds))
        if self._asked == 1:
            return Choice(1, single, kind, tuple(speeds))
        if sizes := self._untried(kind, speeds, min(cap, waiting)):
            self._tried[kind] = min(cap, waiting)
            speeds = self._measured(Measure(head["config"], sizes, waiting * hypers.epochs), kind, where(ready)) or speeds
        if cap == 1 or self._asked:
            like = [speed for speed in speeds if cap == 1 or speed.lanes > 1]  # how one trains best says nothing about many
            near = min(like, key=lambda speed: (abs(speed.lanes - cap), speed.seconds), default=None)
            return Choice(cap, near.way if near else single if cap == 1 else "mapped", kind, tuple(speeds))
        best = fastest(speeds, cap)
        if best is None:  # where it could not be measured, recordings may have taken too much memory
            return Choice(1, "apart" if kind in self._tried else single, kind)
        return Choice(best.lanes, best.way, kind, tuple(speeds), bool(self._larger(kind, speeds, cap)))

    def observed(self, ready: Ready, pace: Pace) -> None:
        """Remembers how fast a pack was."""
        for kind, speed in sorted(pace.speeds().items()):
            remember(self._engine, where(ready), kind, [speed])

    def _untried(self, kind: str, speeds: Sequence[Speed], cap: int) -> tuple[int, ...]:
        """The sizes worth measuring, ascending; none when enough is known."""
        if not self._asked:
            return self._larger(kind, speeds, cap)
        new = cap > 1 and kind not in self._tried and cap not in {speed.lanes for speed in speeds}
        return (cap,) if new else ()

    def _larger(self, kind: str, speeds: Sequence[Speed], cap: int) -> tuple[int, ...]:
        """The largest size known, its doublings, and all jobs at once, where it is the best so far and they were not tried."""
        best, top = fastest(speeds, cap), max((speed.lanes for speed in speeds), default=1)
        if (best and best.lanes < top) or 2 * top > cap or self._tried.get(kind, 0) >= 2 * top:
            return ()
        sizes = [top << i for i in range((cap // top).bit_length())]
        return (*sizes, *([cap] if cap > sizes[-1] else []))

    def _known(self, device: str, kind: str) -> list[Speed]:
        """What was measured: only that compares sizes and ways under equal conditions."""
        return [speed for speed in known(self._engine, device, kind) if not speed.epochs]

    def _measured(self, order: Measure, kind: str, device: str) -> list[Speed]:
        began = time.monotonic()
        answer = self._measure(order)
        if answer is None or not answer.speeds:
            return []
        remember(self._engine, device, kind, answer.speeds)
        speeds = self._known(device, kind)
        took = time.monotonic() - began
        self._say(f"{what(order.config)}: {verdict(answer.speeds, speeds)} (measured in {took:.1f} s)")
        return speeds


class Pace:
    """What lanes took per epoch while all `lanes` places of a pack were taken, by their cost key, until it is remembered."""

    def __init__(self, lanes: int, way: str) -> None:
        self._lanes, self._way = lanes, way
        self._kinds: dict[str, str] = {}  # cost keys by trial
        self._shares: dict[str, list[float]] = {}
        self._since = time.monotonic()

    def see(self, rows: Sequence[tuple[Claim, EpochRow]]) -> bool:
        """Notes an epoch of the pack; returns whether it is time to remember."""
        if len(rows) == self._lanes:
            for claim, row in rows:
                if claim.trial_key not in self._kinds:
                    self._kinds[claim.trial_key] = cost_key(build(claim.config))
                self._shares.setdefault(self._kinds[claim.trial_key], []).append(row.seconds)
        return time.monotonic() - self._since > REMEMBER

    def speeds(self) -> dict[str, Speed]:
        """What was seen since the last time this was asked."""
        seen, self._shares, self._since = self._shares, {}, time.monotonic()
        return {
            kind: Speed(self._lanes, self._way, sum(shares) / len(shares), min(shares), max(shares), len(shares), 0)
            for kind, shares in seen.items()
        }


def verdict(measured: Sequence[Speed], speeds: Sequence[Speed]) -> str:
    """What a measurement says, in words, beside all speeds known."""
    best = fastest(measured, max(speed.lanes for speed in measured))
    assert best is not None
    if best.lanes == 1:
        tried = any(speed.lanes > 1 for speed in measured)
        return "one by one, " + ("more at once are no faster" if tried else "of more at once nothing is known")
    single = min((speed.seconds for speed in speeds if speed.lanes == 1), default=None)
    if single is None:
        return f"{best.lanes} at once, {best.way}"
    gain = single / best.seconds
    return f"{best.lanes} at once, {gain:.{0 if gain >= 10 else 1}f} × as many jobs per hour as one by one"


def _single(device: str) -> str:
    """The way of a lane alone of which nothing was measured: recorded on a GPU, where that is faster by far."""
    return "apart-graph" if device.startswith("cuda") else "apart"


def what(config: Mapping[str, Any]) -> str:
    """A kind of job in a few words."""
    return f"{config['network']} {config['algorithm']} on {config['dataset']}"
